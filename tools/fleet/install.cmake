# tools/fleet as it is installed: the programs and their SQL, and the units of systemd as examples that name the installed paths.
set(fleet ${PROJECT_SOURCE_DIR}/tools/fleet)
install(PROGRAMS ${fleet}/fleet ${fleet}/look DESTINATION ${CMAKE_INSTALL_DATADIR}/heapscan/fleet)
install(FILES ${fleet}/run_duckdb.cjs ${fleet}/tables.sql DESTINATION ${CMAKE_INSTALL_DATADIR}/heapscan/fleet)
install(DIRECTORY ${fleet}/queries DESTINATION ${CMAKE_INSTALL_DATADIR}/heapscan/fleet)
install(FILES ${fleet}/heapscan-fleet@.timer DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples)
# The prefix is known now, not when the build is configured; cpack installs below a folder of its own.
install(CODE "
  string(REGEX REPLACE \"^.*/_CPack_Packages/.*/usr$\" \"/usr\" prefix \"\${CMAKE_INSTALL_PREFIX}\")
  set(HEAPSCAN_PROGRAM \"\${prefix}/${CMAKE_INSTALL_BINDIR}/heapscan\")
  set(HEAPSCAN_FLEET_DIR \"\${prefix}/${CMAKE_INSTALL_DATADIR}/heapscan/fleet\")
  set(HEAPSCAN_DOC_DIR \"\${prefix}/${CMAKE_INSTALL_DOCDIR}\")
  configure_file(\"${fleet}/heapscan-fleet@.service.in\" \"${PROJECT_BINARY_DIR}/heapscan-fleet@.service\" @ONLY)
  file(INSTALL \"${PROJECT_BINARY_DIR}/heapscan-fleet@.service\"
    DESTINATION \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_DOCDIR}/examples\")")
