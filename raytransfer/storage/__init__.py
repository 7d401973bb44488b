"""Files and folders of results: paths, atomic writes, what is wrong with a storage, databases."""
