let d = {}
for i in range(4000)
  let d['key' . i] = [i, 'text ' . i, {'n': i}]
endfor
for i in range(3000)
  call append(line('$'), 'line ' . i . ' with some words in it')
endfor
func! Work(n)
  let l = []
  for i in range(a:n)
    call add(l, {'id': i, 'name': 'item ' . i})
  endfor
  return len(filter(l, {k, v -> v.id % 3 == 0}))
endfunc
for r in range(5)
  call Work(2000)
endfor
%s/words/terms/g
undo
syntax on
set ft=c
%d
set hidden
for f in range(1, 30)
  exe 'edit scratch' . f
  call setline(1, range(50))
endfor
qa!
