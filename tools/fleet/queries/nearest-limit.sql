-- Which hosts are nearest to running out of memory?
--
-- The limit is that of the process's cgroups or of the machine, whichever is nearest. The hours left are by how much more was used in the last
-- look at the process than in the first, as far as that is not older than so many hours before the newest of all.
-- parameter hours: [24]
-- parameter rows: how many processes to list [10]
with spans as (
  select host, unit, program, pid, min(captured_at) as first_look, max(captured_at) as last_look
  from looks
  where limit_bytes > 0
    and captured_at >= (select max(captured_at) from looks) - cast(:'hours' as bigint) * interval '1 hour'
  group by host, unit, program, pid
),
courses as (
  select spans.*, after.limit_name, after.limit_bytes, after.limit_used_bytes, after.lost_bytes,
         after.limit_used_bytes - before.limit_used_bytes as growth,
         cast(extract(epoch from last_look) - extract(epoch from first_look) as double precision) as seconds
  from spans
  join looks as before on before.host = spans.host and before.unit = spans.unit and before.program = spans.program
                      and before.pid = spans.pid and before.captured_at = spans.first_look
  join looks as after on after.host = spans.host and after.unit = spans.unit and after.program = spans.program
                     and after.pid = spans.pid and after.captured_at = spans.last_look
)
select host, unit, program, pid, limit_name,
       cast(floor(cast(limit_used_bytes as double precision) * 100 / limit_bytes) as bigint) as percent_used,
       limit_bytes - limit_used_bytes as left_bytes, lost_bytes,
       case when growth > 0
            then cast(floor((limit_bytes - limit_used_bytes) * seconds / growth / 3600) as bigint) end as hours_left
from courses
order by cast(limit_used_bytes as double precision) / limit_bytes desc, host, unit, program, pid
limit cast(:'rows' as bigint);
