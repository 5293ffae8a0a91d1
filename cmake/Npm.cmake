# lab_npm_packages(STAGE_VARIABLE)
# Gives the current folder a directory in the build, named by STAGE_VARIABLE, in which the npm packages of the folder's
# lock file lie, so that nothing is written among sources. What needs them depends on its packages.stamp.
function(lab_npm_packages stage_variable)
  set(stage ${CMAKE_CURRENT_BINARY_DIR}/stage)
  set(locked package.json package-lock.json .npmrc)
  list(TRANSFORM locked PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/)
  file(RELATIVE_PATH folder ${CMAKE_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR})
  add_custom_command(
    OUTPUT ${stage}/packages.stamp
    COMMAND ${CMAKE_COMMAND} -E make_directory ${stage}
    COMMAND ${CMAKE_COMMAND} -E copy ${locked} ${stage}
    COMMAND ${CMAKE_COMMAND} -E chdir ${stage} ${NPM} ci --prefer-offline --no-audit --no-fund --loglevel=error
    COMMAND ${CMAKE_COMMAND} -E touch ${stage}/packages.stamp
    DEPENDS ${locked}
    COMMENT "Fetching the npm packages of ${folder}"
    VERBATIM)
  set(${stage_variable} ${stage} PARENT_SCOPE)
endfunction()
