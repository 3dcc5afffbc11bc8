"""Makes a table of Iceberg of the schema of the first file, adds all files to it, and says what it has."""

import json
import sys

import pyarrow.parquet as pq
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.io.pyarrow import pyarrow_to_schema

folder, *paths = sys.argv[1:]
catalog = SqlCatalog("test", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}")
catalog.create_namespace("archive")
table = catalog.create_table("archive.events", schema=pyarrow_to_schema(pq.read_schema(paths[0])))
table.add_files([f"file://{path}" for path in paths])
found = table.scan(row_filter="type = 'order.paid'").to_arrow()
print(json.dumps({"rows": table.scan().count(), "paid": sorted(found["kafka_offset"].to_pylist())}))
