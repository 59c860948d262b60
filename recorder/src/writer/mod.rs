//! Out of process: ring → records → chunks → SQLite. No Python in it.
