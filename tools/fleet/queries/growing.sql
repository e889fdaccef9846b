-- What grows now, on how many hosts, and how fast?
--
-- How much more of a group there was in the newest look at each process than in the oldest, as far as these are not
-- older than so many hours before the newest of all. Groups that shrank elsewhere count for what they grew here.
-- parameter hours: [24]
-- parameter rows: how many groups to list [10]
with spans as (
  select host, unit, program, pid, build_id, min(captured_at) as first_look, max(captured_at) as last_look
  from looks
  where captured_at >= (select max(captured_at) from looks) - cast(:'hours' as bigint) * interval '1 hour'
  group by host, unit, program, pid, build_id
  having min(captured_at) < max(captured_at)
),
steps as (
  select spans.*, kinds.id, kinds.label, kinds.site, kinds.lost_bytes,
         case when kinds.captured_at = last_look then kinds.bytes else -kinds.bytes end as bytes
  from spans join kinds using (host, unit, program, pid, build_id)
  where kinds.captured_at = last_look or kinds.captured_at = first_look
),
of_processes as (
  select host, unit, program, pid, build_id, id, max(label) as label, max(site) as site,
         max(lost_bytes) as lost_bytes, cast(sum(bytes) as bigint) as growth,
         cast(extract(epoch from max(last_look)) - extract(epoch from min(first_look)) as double precision) as seconds
  from steps
  group by host, unit, program, pid, build_id, id
)
select program, id, max(label) as label, max(site) as site, count(distinct host) as hosts,
       cast(sum(growth) as bigint) as growth_bytes,
       cast(sum(cast(floor(growth * 3600.0 / seconds) as bigint)) as bigint) as bytes_per_hour,
       cast(sum(lost_bytes) as bigint) as lost_bytes
from of_processes
where growth > 0
group by program, id
order by bytes_per_hour desc, program, id
limit cast(:'rows' as bigint);
