-- Which is the first build that has a group, and which was the last one without it?
--
-- One row for each program that has it: the build, by when builds were first seen anywhere, and when and where it was
-- met.
-- parameter id: of the group
with met as (
  select program, build_id, min(captured_at) as met_at, count(distinct host) as hosts,
         max(label) as label, max(lost_bytes) as most_lost_bytes
  from kinds
  where id = :'id' and bytes > 0
  group by program, build_id
),
ranked as (
  select met.*, builds.first_seen,
         row_number() over (partition by program order by builds.first_seen, build_id) as place
  from met join builds using (program, build_id)
),
firsts as (select * from ranked where place = 1)
select firsts.program, firsts.label, firsts.build_id as first_build, firsts.first_seen as build_seen,
       firsts.met_at, firsts.hosts, firsts.most_lost_bytes,
       (select builds.build_id from builds
        where builds.program = firsts.program and builds.first_seen < firsts.first_seen
        order by builds.first_seen desc, builds.build_id limit 1) as build_before
from firsts
order by firsts.program;
