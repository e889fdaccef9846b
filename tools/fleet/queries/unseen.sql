-- Which services have not been looked at lately?
--
-- Those whose newest look is older than so many hours before the newest of all: a timer that does not run, or looks
-- that are refused.
-- parameter hours: [24]
-- parameter rows: how many to list [10]
select host, unit, program, max(captured_at) as last_look
from looks
group by host, unit, program
having max(captured_at) < (select max(captured_at) from looks) - cast(:'hours' as bigint) * interval '1 hour'
order by last_look, host, unit, program
limit cast(:'rows' as bigint);
