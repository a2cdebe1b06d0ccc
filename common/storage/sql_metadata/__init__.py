"""The metadata store on an SQL server or file, through SQLAlchemy Core: one set of statements, a small dialect seam."""
