"""The registry of model bundles: immutable versions, blobs by digest, channels with history, over HTTP."""
