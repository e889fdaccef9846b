# Objects made, changed, grouped and printed; strings split and joined; recursion and reduction.
def tree(n): if n == 0 then {leaf: true} else {left: tree(n - 1), right: [tree(n - 1), n]} end;
. as $all
| ($all | group_by(.city) | map({city: .[0].city, people: map(.name), mean: (map(.age) | add / length)})) as $cities
| ($all | map(select(.age > 40) | .tags |= map(ascii_upcase) | .key = (.name | split(" ") | join("_")))) as $old
| (reduce $all[] as $p ({}; .[$p.city][$p.name] += $p.age)) as $sums
| [paths(type == "number")] as $paths
| {cities: $cities, old: ($old | length), sums: ($sums | keys), paths: ($paths | length),
   tree: tree(8), found: [$all[] | .note | capture("(?<a>[a-z]+) (?<b>[0-9]+)")] | length,
   text: ($all | map(tostring) | .[0:200]), entries: ($sums | to_entries | map(.value |= length))}
