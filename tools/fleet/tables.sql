-- What `heapscan ... --format jsonl` says, as two tables. Plain SQL that DuckDB and PostgreSQL both take. Times are
-- UTC, sizes bytes; what is not known of a host or unit is '', so that it compares equal; of all else it is null.

-- A look at a process: docs/process.schema.json.
create table if not exists looks (
  host text not null,
  unit text not null,
  program text not null,
  command text not null,
  pid bigint not null,
  executable text,
  build_id text not null,
  captured_at timestamp not null,
  kind text not null,
  heapscan text not null,
  pause_seconds double precision,
  rss_bytes bigint,
  mapped_bytes bigint not null,
  free_bytes bigint,
  lost_mapping_bytes bigint,
  in_use_bytes bigint not null,
  in_use_blocks bigint not null,
  lost_bytes bigint not null,
  lost_blocks bigint not null,
  possible_bytes bigint not null,
  suppressed_bytes bigint not null,
  limit_name text,
  limit_bytes bigint,
  limit_used_bytes bigint,
  growth_bytes bigint,
  growth_blocks bigint,
  growth_bytes_per_minute double precision,
  growth_blocks_per_minute double precision,
  seconds double precision,
  groups bigint not null,
  groups_left_out bigint not null,
  modules text not null
);

-- A group of alike blocks in a look, by verdict: docs/groups.schema.json.
create table if not exists groups (
  host text not null,
  unit text not null,
  program text not null,
  command text not null,
  pid bigint not null,
  executable text,
  build_id text not null,
  captured_at timestamp not null,
  id text not null,
  verdict text not null,
  label text not null,
  kind text,
  site text,
  bytes bigint not null,
  blocks bigint not null,
  indirect_bytes bigint,
  lost_bytes bigint not null,
  growth_bytes bigint,
  growth_blocks bigint,
  growth_bytes_per_minute double precision,
  growth_blocks_per_minute double precision,
  seconds double precision
);

-- Each build of a program, by when it was first seen anywhere.
create or replace view builds as
select program, build_id, min(captured_at) as first_seen, max(captured_at) as last_seen,
       count(*) as looks, count(distinct host) as hosts
from looks
group by program, build_id;

-- The groups of a look whatever the verdict on their blocks.
create or replace view kinds as
select host, unit, program, pid, build_id, captured_at, id, max(label) as label, max(site) as site,
       cast(sum(bytes) as bigint) as bytes, cast(sum(blocks) as bigint) as blocks,
       cast(sum(lost_bytes) as bigint) as lost_bytes
from groups
group by host, unit, program, pid, build_id, captured_at, id;
