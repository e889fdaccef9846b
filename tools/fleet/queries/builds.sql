-- Which builds of which programs are there?
-- parameter rows: how many builds to list [20]
select program, build_id, first_seen, last_seen, looks, hosts
from builds
order by program, first_seen, build_id
limit cast(:'rows' as bigint);
