# Writes the documents of an installation into LAB_DOCUMENTS, at install time: the binary of LAB_BUILD prints its manual
# and completions; the copyright of the bundled images' programs comes with the packages they were taken from.
file(MAKE_DIRECTORY ${LAB_DOCUMENTS})

execute_process(COMMAND ${LAB_BUILD}/lab manual OUTPUT_FILE ${LAB_DOCUMENTS}/lab.1 COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${LAB_BUILD}/lab completion bash OUTPUT_FILE ${LAB_DOCUMENTS}/lab COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${LAB_BUILD}/lab completion zsh OUTPUT_FILE ${LAB_DOCUMENTS}/_lab COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${LAB_BUILD}/lab completion fish OUTPUT_FILE ${LAB_DOCUMENTS}/lab.fish COMMAND_ERROR_IS_FATAL ANY)

file(READ ${LAB_SOURCE}/cmake/deb/copyright copyright)
foreach(package busybox redis-server)
  file(READ /usr/share/doc/${package}/copyright text)
  string(APPEND copyright "\n---- ${package}, in /usr/share/lab/images ----\n\n${text}")
endforeach()
file(WRITE ${LAB_DOCUMENTS}/copyright "${copyright}")

# Without name and time in the gzip header, as the policy of Debian asks.
execute_process(COMMAND gzip -9nc ${LAB_DOCUMENTS}/lab.1 OUTPUT_FILE ${LAB_DOCUMENTS}/lab.1.gz COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND gzip -9nc ${LAB_SOURCE}/cmake/deb/changelog OUTPUT_FILE ${LAB_DOCUMENTS}/changelog.gz
                COMMAND_ERROR_IS_FATAL ANY)
