#ifndef LOCALS_H_
#define LOCALS_H_

#ifdef __cplusplus
extern "C" {
#endif

typedef void (*tell_fn)(void *innermost, void *outer);
long start(tell_fn tell);

#ifdef __cplusplus
}
#endif

#endif
