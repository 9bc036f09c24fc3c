"""How numbers are added up: mergeable, exact states that know nothing of losses or files."""
