"""The database in Aurora's place: finding or fetching its programs, and running a private one."""
