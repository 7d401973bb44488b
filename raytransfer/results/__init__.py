"""The tables: schemas, the Parquet ledger, the units of work and their keys, recorded curves."""
