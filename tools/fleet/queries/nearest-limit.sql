-- Which hosts are nearest to running out of memory?
--
-- By the limit that is nearest to each process, which is that of a cgroup or of the machine. The hours left are by how
-- much more was used in the newest look than in the oldest, as far as these are not older than so many hours before the
-- newest of all. `largest` is the program that took most memory of its own.
-- parameter hours: [24]
-- parameter rows: how many limits to list [10]
with recent as (
  select *, row_number() over (partition by host, limit_name
                               order by coalesce(rss_bytes, in_use_bytes) desc, program, pid, captured_at) as place
  from looks
  where limit_bytes > 0
    and captured_at >= (select max(captured_at) from looks) - cast(:'hours' as bigint) * interval '1 hour'
),
spans as (
  select host, limit_name, min(captured_at) as first_look, max(captured_at) as last_look,
         max(case when place = 1 then program end) as largest
  from recent
  group by host, limit_name
),
courses as (
  select spans.host, spans.limit_name, spans.largest,
         max(case when captured_at = last_look then limit_bytes end) as limit_bytes,
         max(case when captured_at = last_look then limit_used_bytes end) as used,
         max(case when captured_at = first_look then limit_used_bytes end) as was_used,
         cast(extract(epoch from max(last_look)) - extract(epoch from min(first_look)) as double precision) as seconds
  from spans join recent using (host, limit_name)
  group by spans.host, spans.limit_name, spans.largest
)
select host, limit_name, cast(floor(cast(used as double precision) * 100 / limit_bytes) as bigint) as percent_used,
       limit_bytes - used as left_bytes,
       case when used > was_used
            then cast(floor((limit_bytes - used) * seconds / (used - was_used) / 3600) as bigint) end as hours_left,
       largest
from courses
order by cast(used as double precision) / limit_bytes desc, host, limit_name
limit cast(:'rows' as bigint);
