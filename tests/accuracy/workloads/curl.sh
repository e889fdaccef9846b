# Downloads from a server on this machine, some of it in parallel, with cookies, forms and headers.
mkdir files
for i in $(seq 150); do head -c $((i * 40)) /usr/share/common-licenses/GPL-3 >"files/page$i"; done
mkfifo ready
LD_PRELOAD= python3 -u -m http.server --bind 127.0.0.1 --directory files 0 >ready 2>/dev/null &
server=$!
port=$(sed -n 's/.* port \([0-9]*\).*/\1/p;q' ready)
for i in $(seq 150); do
  printf 'url = "http://127.0.0.1:%s/page%s"\noutput = "got%s"\n' "$port" "$i" "$i"
  printf 'url = "http://localhost:%s/missing%s?query=%s"\noutput = "missed%s"\n' "$port" "$i" "$i" "$i"
done >config
"$PROGRAM" --silent --show-error --parallel --parallel-max 20 --cookie-jar jar --cookie "a=b; c=d" \
  --header "X-One: 1" --header "X-Two: 2" --user-agent "a program" --compressed --config config
kill "$server"
