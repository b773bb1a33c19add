"""The master user of a cluster, with the rights that Aurora gives it."""

# pyright: basic
# PyMySQL's inner parts have no types that a strict check could use.
from typing import Any

# https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/UsingWithRDS.MasterAccounts.html
ROLE = "rds_superuser_role"
STATIC_RIGHTS = (
    "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, RELOAD, PROCESS, REFERENCES, INDEX, ALTER, SHOW DATABASES, "
    "CREATE TEMPORARY TABLES, LOCK TABLES, EXECUTE, REPLICATION SLAVE, REPLICATION CLIENT, CREATE VIEW, SHOW VIEW, "
    "CREATE ROUTINE, ALTER ROUTINE, CREATE USER, EVENT, TRIGGER, CREATE ROLE, DROP ROLE"
)
DYNAMIC_RIGHTS = "APPLICATION_PASSWORD_ADMIN, CONNECTION_ADMIN, ROLE_ADMIN, SHOW_ROUTINE, XA_RECOVER_ADMIN"


def make(cursor: Any, user: str, password: str) -> None:
    """Make the user, or give it this password. It has no SUPER, and its rights come from a role, as on Aurora.

    MariaDB has neither that role's rights nor roles that a session begins with unasked: there the user may do all.
    """
    cursor.execute("CREATE USER IF NOT EXISTS %s@'%%'", (user,))
    cursor.execute("ALTER USER %s@'%%' IDENTIFIED BY %s", (user, password))
    cursor.execute("SELECT VERSION()")
    if "MariaDB" in cursor.fetchone()[0]:
        cursor.execute("GRANT ALL PRIVILEGES ON *.* TO %s@'%%' WITH GRANT OPTION", (user,))
        return
    cursor.execute(f"CREATE ROLE IF NOT EXISTS {ROLE}")
    for rights in (STATIC_RIGHTS, DYNAMIC_RIGHTS):
        cursor.execute(f"GRANT {rights} ON *.* TO {ROLE} WITH GRANT OPTION")
    cursor.execute(f"GRANT {ROLE} TO %s@'%%' WITH ADMIN OPTION", (user,))
    cursor.execute(f"ALTER USER %s@'%%' DEFAULT ROLE {ROLE}", (user,))
