# A server that a hundred commands are sent to: windows, panes, buffers, bindings and options.
server="$PROGRAM -S socket -f /dev/null"
SHELL=/bin/sh $server -D &
export LD_PRELOAD=
until [ -S socket ]; do :; done
$server new-session -d -s first -x 120 -y 40
for i in $(seq 25); do
  $server new-window -n "window $i" "seq 1 400; exec cat"
  $server split-window -h "seq 1 200; exec cat"
  $server bind-key -T table "F$((i % 12 + 1))" display-message "key $i" \; select-window -t "$i"
  $server set-buffer -b "buffer$i" "some text that is kept in a buffer, number $i"
  $server set-option -g "@option$i" "value #{window_name} $i"
  $server set-environment -g "NAME$i" "value $i"
  $server set-hook -g "window-renamed[$i]" "display-message 'renamed $i'"
done
for i in $(seq 25); do
  $server rename-window -t ":$((i % 25))" "renamed $i"
  $server list-keys >/dev/null
  $server list-windows -F '#{window_index} #{?window_active,yes,no} #{=10:window_name} #{window_layout}' >/dev/null
  $server capture-pane -p >/dev/null
  $server select-layout tiled >/dev/null 2>&1
done
for i in $(seq 1 3 25); do $server kill-window -t ":window $i" 2>/dev/null; done
for i in $(seq 1 2 25); do $server delete-buffer -b "buffer$i" 2>/dev/null; $server unbind-key -T table "F$((i % 12 + 1))" 2>/dev/null; done
# Until the moment comes.
while $server show-options -g >/dev/null 2>&1; do :; done
