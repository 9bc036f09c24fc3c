"""Where rows come from: formats, columns bound to roles, pairing, and what to do about gaps."""
