# Tests that belong to no one folder. A folder's unit tests stand in its own local.mk.
