-- Gives the lease of a node up at once.
--
-- KEYS[1], ARGV[1..3]  as in pool.lua
-- ARGV[4]  node
--
-- Returns nothing.

call('ZADD', base .. 'nodes', 'XX', now, ARGV[4])
call('HDEL', base .. 'counts', ARGV[4])
