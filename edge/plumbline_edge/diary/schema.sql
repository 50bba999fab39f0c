CREATE TABLE IF NOT EXISTS sets (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  exercise TEXT NOT NULL,
  bundle TEXT NOT NULL,
  started_at REAL NOT NULL,
  height INTEGER NOT NULL,
  width INTEGER NOT NULL,
  finished INTEGER NOT NULL DEFAULT 0,
  frames INTEGER NOT NULL DEFAULT 0,
  seconds REAL NOT NULL DEFAULT 0,
  reps INTEGER NOT NULL DEFAULT 0,
  partial_reps INTEGER NOT NULL DEFAULT 0,
  best_hold_seconds REAL NOT NULL DEFAULT 0,
  fault_counts TEXT NOT NULL DEFAULT '{}'
);
CREATE INDEX IF NOT EXISTS sets_by_time ON sets (started_at);
CREATE TABLE IF NOT EXISTS attempts (
  set_id INTEGER NOT NULL REFERENCES sets (id) ON DELETE CASCADE,
  ended_seconds REAL NOT NULL,
  seconds REAL NOT NULL,
  counted INTEGER NOT NULL,
  peak_progress REAL NOT NULL,
  out_seconds REAL NOT NULL,
  faults TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS attempts_by_set ON attempts (set_id);
CREATE TABLE IF NOT EXISTS chunks (
  set_id INTEGER NOT NULL REFERENCES sets (id) ON DELETE CASCADE,
  number INTEGER NOT NULL,
  data BLOB NOT NULL,
  PRIMARY KEY (set_id, number)
);
CREATE TABLE IF NOT EXISTS reports (
  set_id INTEGER PRIMARY KEY REFERENCES sets (id) ON DELETE CASCADE,
  page TEXT NOT NULL,
  data TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS sitting (
  minute INTEGER PRIMARY KEY,
  sitting_seconds REAL NOT NULL,
  fault_seconds REAL NOT NULL,
  away_seconds REAL NOT NULL,
  faults TEXT NOT NULL
);
PRAGMA user_version = 1;
