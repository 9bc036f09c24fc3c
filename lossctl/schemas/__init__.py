"""JSON Schemas of the documents that lossctl writes."""
