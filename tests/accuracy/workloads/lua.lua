-- Objects with classes, closures, coroutines, strings and tables in tables, made and given up.
local Account = {}
Account.__index = Account
function Account.new(owner, balance)
  return setmetatable({owner = owner, balance = balance, history = {}}, Account)
end
function Account:deposit(amount)
  self.balance = self.balance + amount
  self.history[#self.history + 1] = {kind = "deposit", amount = amount}
end

local accounts = {}
for i = 1, 3000 do
  local account = Account.new("owner number " .. i, i * 10)
  for j = 1, i % 5 do account:deposit(j) end
  accounts[i] = account
end

local function counter(start)
  local n = start
  return function() n = n + 1; return n end
end
local counters = {}
for i = 1, 2000 do counters[i] = counter(i) end

local function walk(tree)
  if not tree then return end
  walk(tree.left)
  coroutine.yield(tree.key)
  walk(tree.right)
end
local function insert(tree, key)
  if not tree then return {key = key} end
  if key < tree.key then tree.left = insert(tree.left, key) else tree.right = insert(tree.right, key) end
  return tree
end
local tree
local key = 1
for _ = 1, 2000 do
  key = (key * 7919 + 13) % 10007
  tree = insert(tree, key)
end
local generators = {}
for i = 1, 300 do
  generators[i] = coroutine.wrap(walk)
  generators[i](tree)
end

local texts = {}
for i = 1, 3000 do
  texts[i] = string.format("%s|%d|%s", ("long text "):rep(1 + i % 8), i, tostring(i * 1.5))
end

for i = 1, 3000, 2 do accounts[i] = nil; texts[i] = nil end
for i = 1, 300, 3 do generators[i] = nil end
for i = 1, 2000, 2 do counters[i] = nil end
collectgarbage()
for i = 1, 200 do assert(load("local a, b = ... ; return a * " .. i .. " + b, '" .. i .. "'"))(1, 2) end
collectgarbage("step")
print(#texts, collectgarbage("count") > 0)
