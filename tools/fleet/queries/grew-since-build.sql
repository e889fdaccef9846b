-- Which group grew on most hosts since build X?
--
-- Counts processes of build X and of builds first seen after it, of the program that X is a build of: how much more of
-- the group there was in the last look at each than in the first. A process that was looked at once says nothing.
-- parameter build: the build id, as in `builds`
-- parameter rows: how many groups to list [10]
with since as (
  select later.program, later.build_id
  from builds as x join builds as later on later.program = x.program and later.first_seen >= x.first_seen
  where x.build_id = :'build'
),
spans as (
  select host, unit, program, pid, build_id, min(captured_at) as first_look, max(captured_at) as last_look
  from looks join since using (program, build_id)
  group by host, unit, program, pid, build_id
  having min(captured_at) < max(captured_at)
),
steps as (
  select spans.host, spans.program, kinds.id, kinds.label, kinds.site,
         case when kinds.captured_at = spans.last_look then kinds.bytes else -kinds.bytes end as bytes
  from spans join kinds using (host, unit, program, pid, build_id)
  where kinds.captured_at = spans.last_look or kinds.captured_at = spans.first_look
),
of_hosts as (
  select program, id, host, max(label) as label, max(site) as site, cast(sum(bytes) as bigint) as growth
  from steps
  group by program, id, host
)
select program, id, max(label) as label, max(site) as site, count(*) as hosts,
       cast(sum(growth) as bigint) as growth_bytes, max(growth) as most_bytes
from of_hosts
where growth > 0
group by program, id
order by hosts desc, growth_bytes desc, program, id
limit cast(:'rows' as bigint);
