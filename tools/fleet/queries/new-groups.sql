-- What is new this week?
--
-- Groups of a program that no look at it had met until so many days before the newest look of all. Programs that were
-- not looked at before that are left out: all of theirs would be new.
-- parameter days: [7]
-- parameter rows: how many groups to list [10]
with bounds as (
  select max(captured_at) - cast(:'days' as bigint) * interval '1 day' as since from looks
),
known as (
  select program from looks group by program having min(captured_at) < (select since from bounds)
),
met as (
  select program, id, min(captured_at) as met_at, max(captured_at) as last_met, max(label) as label, max(site) as site,
         count(distinct host) as hosts, max(bytes) as most_bytes, max(lost_bytes) as most_lost_bytes
  from kinds
  where bytes > 0 and program in (select program from known)
  group by program, id
  having min(captured_at) >= (select since from bounds)
)
select met.program, met.id, met.label, met.site, met.met_at, met.hosts, met.most_bytes, met.most_lost_bytes,
       (select min(kinds.build_id) from kinds
        where kinds.program = met.program and kinds.id = met.id and kinds.captured_at = met.met_at) as build_id
from met
order by met.most_lost_bytes desc, met.hosts desc, met.program, met.id
limit cast(:'rows' as bigint);
