-- Which unit has lost most, and on which host?
--
-- Adds up the newest look at each process, as far as that is not older than so many hours before the newest of all.
-- Containers have a name of their own each time they start, so they are one unit here, by program.
-- parameter hours: [24]
-- parameter rows: how many units to list [10]
with newest as (
  select host, unit, program, pid, max(captured_at) as captured_at
  from looks
  where captured_at >= (select max(captured_at) from looks) - cast(:'hours' as bigint) * interval '1 hour'
  group by host, unit, program, pid
),
named as (
  select case when unit = '' or unit like '%.service' or unit like '%.scope' then unit else 'containers' end as service,
         host, program, lost_bytes, in_use_bytes
  from newest join looks using (host, unit, program, pid, captured_at)
),
of_hosts as (
  select service, program, host, cast(sum(lost_bytes) as bigint) as lost_bytes,
         cast(sum(in_use_bytes) as bigint) as in_use_bytes
  from named
  group by service, program, host
),
ranked as (
  select of_hosts.*, row_number() over (partition by service, program order by lost_bytes desc, host) as place
  from of_hosts
)
select service as unit, program, count(*) as hosts, sum(case when lost_bytes > 0 then 1 else 0 end) as hosts_that_lose,
       cast(sum(lost_bytes) as bigint) as lost_bytes, cast(sum(in_use_bytes) as bigint) as in_use_bytes,
       max(lost_bytes) as most_lost_bytes, max(case when place = 1 and lost_bytes > 0 then host end) as on_host
from ranked
group by service, program
order by lost_bytes desc, service, program
limit cast(:'rows' as bigint);
