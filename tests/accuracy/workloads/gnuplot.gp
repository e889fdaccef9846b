# Data, fits, functions, labels and a hundred plots.
set terminal svg
set output "plots.svg"
array values[300]
do for [i = 1:300] { values[i] = sprintf("value %d of the array, %f", i, sin(i)) }
$table << EOD
1 2 first
2 4.5 second
3 9.1 third
4 15.8 fourth
5 25.2 fifth
6 35.7 sixth
EOD
f(x) = a * x ** 2 + b * x + c
fit f(x) $table using 1:2 via a, b, c
do for [i = 1:150] {
  set title sprintf("plot number %d", i)
  set label i sprintf("label %d", i) at i, i * 2
  set arrow i from 0, i to i, 0
  set xlabel "x of ".i
  g(x, y) = sin(x * i) + y
  plot [0:10] f(x) title "fit ".i, g(x, i) with points, $table using 1:2:3 with labels
  splot [0:3][0:3] x * y * i with lines, sin(x) * cos(y)
}
set multiplot layout 4, 4
do for [i = 1:16] { unset label i; plot [0:i] tan(x) / i title "t".i with lines }
unset multiplot
stats $table using 1:2 name "S"
set table "table.txt"
set isosamples 40
set dgrid3d 30, 30
splot $table using 1:2:1
unset table
splot $table using 1:2:1 with lines
