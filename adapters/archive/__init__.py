"""The archive: every tenant's history as Parquet, on a folder or object storage, proved and searched by columns."""
