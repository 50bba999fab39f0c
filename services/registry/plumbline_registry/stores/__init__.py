"""The stores that hold blobs: a folder, or an S3-compatible object store."""
