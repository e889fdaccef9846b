# `cpack` makes a Debian package of what `cmake --install` installs: run it in the build folder.
#
# It depends on the libraries of the release that it was built on: build it where it is to be installed.

set(HEAPSCAN_MAINTAINER "heapscan developers <heapscan@packages.invalid>" CACHE STRING
  "Who answers for a package that cpack makes: Name <address>")

set(package_release 1)
set(package_files ${PROJECT_BINARY_DIR}/debian)
string(TIMESTAMP package_date "%a, %d %b %Y %H:%M:%S +0000" UTC)
configure_file(${CMAKE_CURRENT_LIST_DIR}/changelog.in ${package_files}/changelog @ONLY)
configure_file(${CMAKE_CURRENT_LIST_DIR}/copyright.in ${package_files}/copyright @ONLY)
# pack SOURCE PACKED
function(pack source packed)
  execute_process(COMMAND gzip -9nc ${source} OUTPUT_FILE ${packed} COMMAND_ERROR_IS_FATAL ANY)
endfunction()
pack(${package_files}/changelog ${package_files}/changelog.Debian.gz)
pack(${PROJECT_SOURCE_DIR}/CHANGELOG.md ${package_files}/changelog.gz)
file(WRITE ${package_files}/heapscan
"# Nobody has asked Debian for it.
heapscan: initial-upload-closes-no-bugs *
# Of many hosts one puts the reports into a database; the others do without Python.
heapscan: python3-script-but-no-python3-dep *
")
# Below /usr, where packages are, as Debian asks for it.
install(CODE "
  set(prefix \"\${CMAKE_INSTALL_PREFIX}\")
  set(doc \"\${prefix}/${CMAKE_INSTALL_DOCDIR}\")
  if(prefix MATCHES \"/usr$\")
    file(INSTALL ${package_files}/copyright ${package_files}/changelog.Debian.gz
      ${package_files}/changelog.gz DESTINATION \"\${doc}\")
    file(INSTALL ${package_files}/heapscan
      DESTINATION \"\${prefix}/${CMAKE_INSTALL_DATADIR}/lintian/overrides\")
  else()
    file(INSTALL ${PROJECT_SOURCE_DIR}/LICENSE ${PROJECT_SOURCE_DIR}/CHANGELOG.md
      DESTINATION \"\${doc}\")
  endif()")

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME heapscan)
set(CPACK_PACKAGE_CONTACT "${HEAPSCAN_MAINTAINER}")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_DEBIAN_PACKAGE_RELEASE ${package_release})
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION devel)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "python3, postgresql-client | nodejs")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "find leaked memory in running processes and core dumps")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
"heapscan stops a running program for a moment, copies its memory, lets it run
on, and finds the malloc blocks in the copy that no pointer leads to any more.
It says what they are, what they contain, and what grows from look to look;
the same for core dumps. Nothing is preloaded, injected or recompiled.")
include(CPack)
