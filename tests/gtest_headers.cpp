// Nothing of its own: CMake compiles the headers that tests share together with it.
