"""How the database's tables came to be, step by step; `upgrade` brings any earlier state to the newest."""
