"""`python -m plumbline_edge`."""

from plumbline_edge.cli import main

raise SystemExit(main())
