"""The Update Framework: what the registry checks, and what operators, the signer and CI sign."""
