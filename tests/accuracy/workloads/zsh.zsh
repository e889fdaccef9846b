# Parameters, functions, aliases, history, key maps, styles and directories, made, changed and unset.
setopt extended_glob hist_ignore_dups
fc -p history 400 400
typeset -A table
typeset -a list
typeset -T LIST_PATH list_path

deep() {
  local name=$1 number=$2 text="the text of $1 at depth $2"
  local -a parts=(${(s: :)text} $name-$number)
  local -A found=(name $name number $number last "${text##* }")
  (( number > 0 )) && deep "$name.$number" $(( number - 1 ))
  (( count += $#parts + $#found ))
}

for (( i = 0; i < 800; i++ )); do
  table+=(key$i "value $i of a table")
  list+=("item $i")
  list_path+=(/usr/share/place$(( i % 50 ))/$i)
  print -s "command $i --option=$(( i % 7 )) 'some argument' >file$(( i % 30 ))"
  (( i % 3 == 0 )) && deep name$i 5
  (( i % 40 == 0 )) && { list=(${list:#*7}); list_path=(${list_path[-20,-1]}) }
  (( i % 5 == 0 )) && unset "table[key$(( i / 2 ))]"
done

for (( i = 0; i < 600; i++ )); do
  eval "work$i() {
    local answer=\$(( \$1 * $i )) word
    for word in \"\${@[2,-1]}\"; do
      case \$word in
        (<->) (( answer += word )) ;;
        (a*|*b) answer+=0 ;;
        (*) [[ \$word = (#b)(?)*(?) ]] && answer=\$#match ;;
      esac
    done <<< \"input of $i\"
    REPLY=\$answer
  }"
  alias short$i="command$i --with 'an argument' | less" -g WORD$i="| grep $i"
  alias -s kind$i="open-$i"
  hash -d dir$i=/usr/share/doc/place$i
  hash tool$i=/usr/local/bin/tool$i
  zstyle ":area:part$(( i % 60 )):*" name$(( i % 9 )) "value $i" second
  bindkey -s "^X$(( i % 10 ))$i" "text that key $i types"
  (( i % 20 == 0 )) && { bindkey -N map$i emacs; zle -N widget$i work$i }
  typeset -g global$i="global value $i" 
  typeset -gF float$i=$(( i / 7.0 ))
  typeset -gi16 integer$i=$i
  export EXPORTED$i="exported value $i"
  typeset -ga array$i; set -A array$i one two three $i
  typeset -gA map$i; set -A map$i a $i b "text $i"
  trap "print signal $i" USR1
done

for (( i = 0; i < 600; i++ )); do
  work$i $i 1 2 abc zb xyz
  pushd -q /usr 2>/dev/null; (( i % 2 )) && popd -q
  (( i % 3 )) || { unfunction work$i; unalias short$i WORD$i; unset global$i array$i map$i }
  (( i % 4 )) || { unhash -d dir$i; unhash tool$i; unset float$i integer$i EXPORTED$i; unalias -s kind$i }
  (( i % 5 )) || zstyle -d ":area:part$(( i % 60 )):*" name$(( i % 9 ))
  (( i % 40 )) || { zle -D widget$i; bindkey -D map$i }
  (( i % 7 )) || bindkey -r "^X$(( i % 10 ))$i"
  [[ "line $i of text" = (#b)([a-z]##)\ (<->)\ * ]] && (( total += $#match ))
done
local -a sorted=(${(ok)table} ${(Oa)list})
fc -P
print $#sorted $#table $#list
