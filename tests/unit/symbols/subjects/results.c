/* The subject of named_values_test.cpp: calls whose results have names. */
#include <stddef.h>

void *make(size_t size);
void use(void *what);

typedef struct {
  long number;
  char text[24];
} letter;

struct bag {
  struct bag *next;
  struct {
    letter *letters;
    letter **sorted;
  } content;
};

struct bag *returned(void) { return make(sizeof(struct bag)); }

void *returned_as_anything(void) { return make(1); }

void assigned(void) {
  letter *mail = make(sizeof *mail);
  use(NULL);
  use(mail);
}

void put_into_member(struct bag *bag) {
  use(bag);
  bag->content.sorted = make(8 * sizeof *bag->content.sorted);
}
