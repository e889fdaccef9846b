// Runs SQL in DuckDB for tools/fleet/fleet: statements come in on standard input, a JSON list; what the last one answers
// goes out as JSON, {"columns": [...], "rows": [[...]]}, every value as text or null.
//
// usage: node run_duckdb.cjs DATABASE
// Takes @duckdb/node-api from where Node looks for modules, NODE_PATH among that.
'use strict';
const fs = require('fs');

async function main() {
  const { DuckDBInstance } = require('@duckdb/node-api');
  // Nothing is fetched: what DuckDB does not bring itself is not asked for.
  const instance = await DuckDBInstance.create(process.argv[2], {
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
  });
  const connection = await instance.connect();
  let answer = { columns: [], rows: [] };
  for (const statement of JSON.parse(fs.readFileSync(0, 'utf8'))) {
    const reader = await connection.runAndReadAll(statement);
    const rows = reader.getRows().map((row) => row.map((value) => (value === null ? null : String(value))));
    answer = { columns: reader.columnNames(), rows };
  }
  connection.closeSync();
  process.stdout.write(JSON.stringify(answer));
}

main().catch((error) => {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
});
