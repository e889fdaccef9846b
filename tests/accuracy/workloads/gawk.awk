# Words counted, sorted and taken apart, functions that call themselves, regular expressions made at
# run time: everything that makes gawk allocate.
function tree(name, depth,    i) {
  if (depth == 0) return name
  for (i = 0; i < 3; i++) leaves[name, i] = tree(name "." i, depth - 1)
  return length(leaves)
}
function words(text,    parts, i, n) {
  n = split(text, parts, /[ ,;]+/)
  for (i = 1; i <= n; i++) count[parts[i]]++
  return n
}
BEGIN {
  for (i = 0; i < 4000; i++) {
    line = "record " i " of group " (i % 37) ", value " (i * i) "; state " (i % 5 ? "open" : "closed")
    lines[i] = line
    total += words(line)
    nested[i % 37][i] = toupper(line)
    if (match(line, "group ([0-9]+)", m)) groups[m[1]] = groups[m[1]] " " i
  }
  tree("root", 7)
  for (r = 0; r < 200; r++) {
    pattern = "value " r "[0-9]*;"
    for (i = 0; i < 40; i++) if (lines[i] ~ pattern) hits[pattern]++
  }
  n = asorti(count, order)
  for (i = 1; i <= n; i++) sorted = sorted " " order[i]
  for (i = 0; i < 4000; i += 2) delete lines[i]
  for (g in nested) if (g % 3 == 0) delete nested[g]
  for (i = 0; i < 3000; i++) texts[i] = sprintf("%s-%05d", gensub(/o/, "0", "g", order[1 + i % n]), i)
  print total, n, length(sorted), length(texts)
}
