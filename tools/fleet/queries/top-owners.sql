-- What holds most memory in the fleet now?
--
-- Adds up the groups of the newest look at each process, as far as that is not older than so many hours before the
-- newest of all.
-- parameter hours: [24]
-- parameter rows: how many groups to list [10]
with newest as (
  select host, unit, program, pid, max(captured_at) as captured_at
  from looks
  where captured_at >= (select max(captured_at) from looks) - cast(:'hours' as bigint) * interval '1 hour'
  group by host, unit, program, pid
)
select program, id, max(label) as label, max(site) as site, count(distinct host) as hosts, count(*) as processes,
       cast(sum(bytes) as bigint) as bytes, cast(sum(blocks) as bigint) as blocks,
       cast(sum(lost_bytes) as bigint) as lost_bytes
from newest join kinds using (host, unit, program, pid, captured_at)
group by program, id
order by bytes desc, program, id
limit cast(:'rows' as bigint);
