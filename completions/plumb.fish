# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_plumb_global_optspecs
    string join \n f/file= o/output= color= log-format= v/verbose q/quiet inventory= connection= allow-host= sandbox allow-plaintext-secrets allow-exec h/help V/version
end

function __fish_plumb_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_plumb_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_plumb_using_subcommand
    set -l cmd (__fish_plumb_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c plumb -n "__fish_plumb_needs_command" -s f -l file -d 'File, folder or Git URL to read manifests from, or `-` for standard input; may be repeated [default: .]' -r -F
complete -c plumb -n "__fish_plumb_needs_command" -s o -l output -d 'How to print the result; the verb\'s help lists its formats' -r
complete -c plumb -n "__fish_plumb_needs_command" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c plumb -n "__fish_plumb_needs_command" -l log-format -d 'How to write the log on standard error' -r -f -a "text\t'Lines for people'
json\t'One JSON object a line'"
complete -c plumb -n "__fish_plumb_needs_command" -l inventory -d 'Where the ownership record is: a path, or a URL such as `s3://BUCKET/KEY` [default: .plumb/inventory.db]' -r -f
complete -c plumb -n "__fish_plumb_needs_command" -l connection -d 'Override a connection\'s base URL, whose host is then allowed; may be repeated' -r
complete -c plumb -n "__fish_plumb_needs_command" -l allow-host -d 'Allow credentials to go to a further host; may be repeated' -r -f -a "(__fish_print_hostnames)"
complete -c plumb -n "__fish_plumb_needs_command" -s v -l verbose -d 'Say more on standard error: -v for steps, -vv for calls, -vvv for everything'
complete -c plumb -n "__fish_plumb_needs_command" -s q -l quiet -d 'Say nothing on standard error but errors'
complete -c plumb -n "__fish_plumb_needs_command" -l sandbox -d 'Run against simulated APIs in this process'
complete -c plumb -n "__fish_plumb_needs_command" -l allow-plaintext-secrets -d 'Accept sensitive values that are written in manifests as `{value: …}`'
complete -c plumb -n "__fish_plumb_needs_command" -l allow-exec -d 'Run the commands that sensitive values name as `{valueFrom: {exec: …}}`'
complete -c plumb -n "__fish_plumb_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c plumb -n "__fish_plumb_needs_command" -s V -l version -d 'Print version'
complete -c plumb -n "__fish_plumb_needs_command" -f -a "validate" -d 'Check manifests offline: syntax, schema, references, cycles'
complete -c plumb -n "__fish_plumb_needs_command" -f -a "plan" -d 'Show what would change'
complete -c plumb -n "__fish_plumb_needs_command" -f -a "diff" -d 'Show what would change'
complete -c plumb -n "__fish_plumb_needs_command" -f -a "apply" -d 'Change what the plan says, after a question'
complete -c plumb -n "__fish_plumb_needs_command" -f -a "destroy" -d 'Delete what the stack owns, after a question'
complete -c plumb -n "__fish_plumb_needs_command" -f -a "drift" -d 'Report what changed behind plumb\'s back'
complete -c plumb -n "__fish_plumb_needs_command" -f -a "export" -d 'Write manifests of what is live in the accounts of the connections'
complete -c plumb -n "__fish_plumb_needs_command" -f -a "import" -d 'Record that manifests own live objects, without changing them'
complete -c plumb -n "__fish_plumb_needs_command" -f -a "unmanaged" -d 'List what is live in the kinds that the stack uses and in no manifest; nothing of it is touched'
complete -c plumb -n "__fish_plumb_needs_command" -f -a "forget" -d 'Take objects out of the ownership record; the live ones stay'
complete -c plumb -n "__fish_plumb_needs_command" -f -a "inventory" -d 'Look into the ownership record, and mend it'
complete -c plumb -n "__fish_plumb_needs_command" -f -a "history" -d 'Show what each run changed'
complete -c plumb -n "__fish_plumb_needs_command" -f -a "undo" -d 'Restore what a run updated or deleted, after a question'
complete -c plumb -n "__fish_plumb_needs_command" -f -a "graph" -d 'Print the dependency graph, coloured by planned action'
complete -c plumb -n "__fish_plumb_needs_command" -f -a "doctor" -d 'Check each connection: reachable, key valid, clock, quota left'
complete -c plumb -n "__fish_plumb_needs_command" -f -a "explain" -d 'Explain a kind or a field: what can be declared'
complete -c plumb -n "__fish_plumb_needs_command" -f -a "schema" -d 'Print the JSON Schema of manifests, for editors'
complete -c plumb -n "__fish_plumb_needs_command" -f -a "apis" -d 'List the described APIs and their kinds'
complete -c plumb -n "__fish_plumb_needs_command" -f -a "operator" -d 'Keep live objects true to custom resources of a Kubernetes cluster'
complete -c plumb -n "__fish_plumb_needs_command" -f -a "crds" -d 'Print the custom resource definitions of the described kinds'
complete -c plumb -n "__fish_plumb_needs_command" -f -a "sandbox" -d 'Serve simulated APIs on loopback'
complete -c plumb -n "__fish_plumb_needs_command" -f -a "demo" -d 'Take the guided tour: plan, apply and drift repair against simulated APIs'
complete -c plumb -n "__fish_plumb_needs_command" -f -a "agent" -d 'Watch Git and keep stacks true to it'
complete -c plumb -n "__fish_plumb_needs_command" -f -a "completions" -d 'Print the completion script of a shell'
complete -c plumb -n "__fish_plumb_needs_command" -f -a "man" -d 'Print a manual page, or write them all to a folder'
complete -c plumb -n "__fish_plumb_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c plumb -n "__fish_plumb_using_subcommand validate" -s o -l output -d 'How to print the result' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c plumb -n "__fish_plumb_using_subcommand validate" -s f -l file -d 'File, folder or Git URL to read manifests from, or `-` for standard input; may be repeated [default: .]' -r -F
complete -c plumb -n "__fish_plumb_using_subcommand validate" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c plumb -n "__fish_plumb_using_subcommand validate" -l log-format -d 'How to write the log on standard error' -r -f -a "text\t'Lines for people'
json\t'One JSON object a line'"
complete -c plumb -n "__fish_plumb_using_subcommand validate" -l inventory -d 'Where the ownership record is: a path, or a URL such as `s3://BUCKET/KEY` [default: .plumb/inventory.db]' -r -f
complete -c plumb -n "__fish_plumb_using_subcommand validate" -l connection -d 'Override a connection\'s base URL, whose host is then allowed; may be repeated' -r
complete -c plumb -n "__fish_plumb_using_subcommand validate" -l allow-host -d 'Allow credentials to go to a further host; may be repeated' -r -f -a "(__fish_print_hostnames)"
complete -c plumb -n "__fish_plumb_using_subcommand validate" -s v -l verbose -d 'Say more on standard error: -v for steps, -vv for calls, -vvv for everything'
complete -c plumb -n "__fish_plumb_using_subcommand validate" -s q -l quiet -d 'Say nothing on standard error but errors'
complete -c plumb -n "__fish_plumb_using_subcommand validate" -l sandbox -d 'Run against simulated APIs in this process'
complete -c plumb -n "__fish_plumb_using_subcommand validate" -l allow-plaintext-secrets -d 'Accept sensitive values that are written in manifests as `{value: …}`'
complete -c plumb -n "__fish_plumb_using_subcommand validate" -l allow-exec -d 'Run the commands that sensitive values name as `{valueFrom: {exec: …}}`'
complete -c plumb -n "__fish_plumb_using_subcommand validate" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c plumb -n "__fish_plumb_using_subcommand plan" -s o -l output -d 'How to print the result' -r -f -a "text\t'For people'
json\t'For programs: one versioned object'
markdown\t'For a comment on a pull request'
html\t'One self-contained page'"
complete -c plumb -n "__fish_plumb_using_subcommand plan" -l out -d 'Save the plan to a file' -r -F
complete -c plumb -n "__fish_plumb_using_subcommand plan" -l plan-detail -d 'What Markdown tells of changes: the names of fields, or their values as well' -r -f -a "names\t'The names of fields'
values\t'Their values as well'"
complete -c plumb -n "__fish_plumb_using_subcommand plan" -l target -d 'Plan only this object and what it depends on; may be repeated' -r
complete -c plumb -n "__fish_plumb_using_subcommand plan" -l exclude -d 'Leave this object and what depends on it out; may be repeated' -r
complete -c plumb -n "__fish_plumb_using_subcommand plan" -s l -l selector -d 'Plan only objects with these labels: `a=b,c!=d,e,!f,k in (x,y)`' -r
complete -c plumb -n "__fish_plumb_using_subcommand plan" -l max-deletes -d 'Allow this many deletions, or this share of each kind, instead of 10 and 30 %' -r
complete -c plumb -n "__fish_plumb_using_subcommand plan" -s f -l file -d 'File, folder or Git URL to read manifests from, or `-` for standard input; may be repeated [default: .]' -r -F
complete -c plumb -n "__fish_plumb_using_subcommand plan" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c plumb -n "__fish_plumb_using_subcommand plan" -l log-format -d 'How to write the log on standard error' -r -f -a "text\t'Lines for people'
json\t'One JSON object a line'"
complete -c plumb -n "__fish_plumb_using_subcommand plan" -l inventory -d 'Where the ownership record is: a path, or a URL such as `s3://BUCKET/KEY` [default: .plumb/inventory.db]' -r -f
complete -c plumb -n "__fish_plumb_using_subcommand plan" -l connection -d 'Override a connection\'s base URL, whose host is then allowed; may be repeated' -r
complete -c plumb -n "__fish_plumb_using_subcommand plan" -l allow-host -d 'Allow credentials to go to a further host; may be repeated' -r -f -a "(__fish_print_hostnames)"
complete -c plumb -n "__fish_plumb_using_subcommand plan" -l detailed-exitcode -d 'Exit with 2 if changes are pending'
complete -c plumb -n "__fish_plumb_using_subcommand plan" -l prune -d 'Delete what the stack owns and no manifest declares'
complete -c plumb -n "__fish_plumb_using_subcommand plan" -l adopt-roots -d 'Make this run\'s paths the stack\'s, in place of those that it was applied from before'
complete -c plumb -n "__fish_plumb_using_subcommand plan" -l adopt-accounts -d 'Take the accounts that connections lead to now for the stack\'s, in place of those that it was applied to before'
complete -c plumb -n "__fish_plumb_using_subcommand plan" -l keep-going -d 'Go on with the objects that an error does not concern'
complete -c plumb -n "__fish_plumb_using_subcommand plan" -s v -l verbose -d 'Say more on standard error: -v for steps, -vv for calls, -vvv for everything'
complete -c plumb -n "__fish_plumb_using_subcommand plan" -s q -l quiet -d 'Say nothing on standard error but errors'
complete -c plumb -n "__fish_plumb_using_subcommand plan" -l sandbox -d 'Run against simulated APIs in this process'
complete -c plumb -n "__fish_plumb_using_subcommand plan" -l allow-plaintext-secrets -d 'Accept sensitive values that are written in manifests as `{value: …}`'
complete -c plumb -n "__fish_plumb_using_subcommand plan" -l allow-exec -d 'Run the commands that sensitive values name as `{valueFrom: {exec: …}}`'
complete -c plumb -n "__fish_plumb_using_subcommand plan" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c plumb -n "__fish_plumb_using_subcommand diff" -s o -l output -d 'How to print the result' -r -f -a "text\t'For people'
json\t'For programs: one versioned object'
markdown\t'For a comment on a pull request'
html\t'One self-contained page'"
complete -c plumb -n "__fish_plumb_using_subcommand diff" -l out -d 'Save the plan to a file' -r -F
complete -c plumb -n "__fish_plumb_using_subcommand diff" -l plan-detail -d 'What Markdown tells of changes: the names of fields, or their values as well' -r -f -a "names\t'The names of fields'
values\t'Their values as well'"
complete -c plumb -n "__fish_plumb_using_subcommand diff" -l target -d 'Plan only this object and what it depends on; may be repeated' -r
complete -c plumb -n "__fish_plumb_using_subcommand diff" -l exclude -d 'Leave this object and what depends on it out; may be repeated' -r
complete -c plumb -n "__fish_plumb_using_subcommand diff" -s l -l selector -d 'Plan only objects with these labels: `a=b,c!=d,e,!f,k in (x,y)`' -r
complete -c plumb -n "__fish_plumb_using_subcommand diff" -l max-deletes -d 'Allow this many deletions, or this share of each kind, instead of 10 and 30 %' -r
complete -c plumb -n "__fish_plumb_using_subcommand diff" -s f -l file -d 'File, folder or Git URL to read manifests from, or `-` for standard input; may be repeated [default: .]' -r -F
complete -c plumb -n "__fish_plumb_using_subcommand diff" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c plumb -n "__fish_plumb_using_subcommand diff" -l log-format -d 'How to write the log on standard error' -r -f -a "text\t'Lines for people'
json\t'One JSON object a line'"
complete -c plumb -n "__fish_plumb_using_subcommand diff" -l inventory -d 'Where the ownership record is: a path, or a URL such as `s3://BUCKET/KEY` [default: .plumb/inventory.db]' -r -f
complete -c plumb -n "__fish_plumb_using_subcommand diff" -l connection -d 'Override a connection\'s base URL, whose host is then allowed; may be repeated' -r
complete -c plumb -n "__fish_plumb_using_subcommand diff" -l allow-host -d 'Allow credentials to go to a further host; may be repeated' -r -f -a "(__fish_print_hostnames)"
complete -c plumb -n "__fish_plumb_using_subcommand diff" -l detailed-exitcode -d 'Exit with 2 if changes are pending'
complete -c plumb -n "__fish_plumb_using_subcommand diff" -l prune -d 'Delete what the stack owns and no manifest declares'
complete -c plumb -n "__fish_plumb_using_subcommand diff" -l adopt-roots -d 'Make this run\'s paths the stack\'s, in place of those that it was applied from before'
complete -c plumb -n "__fish_plumb_using_subcommand diff" -l adopt-accounts -d 'Take the accounts that connections lead to now for the stack\'s, in place of those that it was applied to before'
complete -c plumb -n "__fish_plumb_using_subcommand diff" -l keep-going -d 'Go on with the objects that an error does not concern'
complete -c plumb -n "__fish_plumb_using_subcommand diff" -s v -l verbose -d 'Say more on standard error: -v for steps, -vv for calls, -vvv for everything'
complete -c plumb -n "__fish_plumb_using_subcommand diff" -s q -l quiet -d 'Say nothing on standard error but errors'
complete -c plumb -n "__fish_plumb_using_subcommand diff" -l sandbox -d 'Run against simulated APIs in this process'
complete -c plumb -n "__fish_plumb_using_subcommand diff" -l allow-plaintext-secrets -d 'Accept sensitive values that are written in manifests as `{value: …}`'
complete -c plumb -n "__fish_plumb_using_subcommand diff" -l allow-exec -d 'Run the commands that sensitive values name as `{valueFrom: {exec: …}}`'
complete -c plumb -n "__fish_plumb_using_subcommand diff" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c plumb -n "__fish_plumb_using_subcommand apply" -s o -l output -d 'How to print the result' -r -f -a "text\t'For people'
json\t'For programs: one versioned object'
markdown\t'For a comment on a pull request'
html\t'One self-contained page'"
complete -c plumb -n "__fish_plumb_using_subcommand apply" -l target -d 'Plan only this object and what it depends on; may be repeated' -r
complete -c plumb -n "__fish_plumb_using_subcommand apply" -l exclude -d 'Leave this object and what depends on it out; may be repeated' -r
complete -c plumb -n "__fish_plumb_using_subcommand apply" -s l -l selector -d 'Plan only objects with these labels: `a=b,c!=d,e,!f,k in (x,y)`' -r
complete -c plumb -n "__fish_plumb_using_subcommand apply" -l max-deletes -d 'Allow this many deletions, or this share of each kind, instead of 10 and 30 %' -r
complete -c plumb -n "__fish_plumb_using_subcommand apply" -s f -l file -d 'File, folder or Git URL to read manifests from, or `-` for standard input; may be repeated [default: .]' -r -F
complete -c plumb -n "__fish_plumb_using_subcommand apply" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c plumb -n "__fish_plumb_using_subcommand apply" -l log-format -d 'How to write the log on standard error' -r -f -a "text\t'Lines for people'
json\t'One JSON object a line'"
complete -c plumb -n "__fish_plumb_using_subcommand apply" -l inventory -d 'Where the ownership record is: a path, or a URL such as `s3://BUCKET/KEY` [default: .plumb/inventory.db]' -r -f
complete -c plumb -n "__fish_plumb_using_subcommand apply" -l connection -d 'Override a connection\'s base URL, whose host is then allowed; may be repeated' -r
complete -c plumb -n "__fish_plumb_using_subcommand apply" -l allow-host -d 'Allow credentials to go to a further host; may be repeated' -r -f -a "(__fish_print_hostnames)"
complete -c plumb -n "__fish_plumb_using_subcommand apply" -s y -l yes -d 'Ask no question; required where there is no terminal'
complete -c plumb -n "__fish_plumb_using_subcommand apply" -l prune -d 'Delete what the stack owns and no manifest declares'
complete -c plumb -n "__fish_plumb_using_subcommand apply" -l adopt-roots -d 'Make this run\'s paths the stack\'s, in place of those that it was applied from before'
complete -c plumb -n "__fish_plumb_using_subcommand apply" -l adopt-accounts -d 'Take the accounts that connections lead to now for the stack\'s, in place of those that it was applied to before'
complete -c plumb -n "__fish_plumb_using_subcommand apply" -l keep-going -d 'Go on with the objects that an error does not concern'
complete -c plumb -n "__fish_plumb_using_subcommand apply" -s v -l verbose -d 'Say more on standard error: -v for steps, -vv for calls, -vvv for everything'
complete -c plumb -n "__fish_plumb_using_subcommand apply" -s q -l quiet -d 'Say nothing on standard error but errors'
complete -c plumb -n "__fish_plumb_using_subcommand apply" -l sandbox -d 'Run against simulated APIs in this process'
complete -c plumb -n "__fish_plumb_using_subcommand apply" -l allow-plaintext-secrets -d 'Accept sensitive values that are written in manifests as `{value: …}`'
complete -c plumb -n "__fish_plumb_using_subcommand apply" -l allow-exec -d 'Run the commands that sensitive values name as `{valueFrom: {exec: …}}`'
complete -c plumb -n "__fish_plumb_using_subcommand apply" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c plumb -n "__fish_plumb_using_subcommand destroy" -s o -l output -d 'How to print the result' -r -f -a "text\t'For people'
json\t'For programs: one versioned object'
markdown\t'For a comment on a pull request'
html\t'One self-contained page'"
complete -c plumb -n "__fish_plumb_using_subcommand destroy" -l target -d 'Plan only this object and what it depends on; may be repeated' -r
complete -c plumb -n "__fish_plumb_using_subcommand destroy" -l exclude -d 'Leave this object and what depends on it out; may be repeated' -r
complete -c plumb -n "__fish_plumb_using_subcommand destroy" -s l -l selector -d 'Plan only objects with these labels: `a=b,c!=d,e,!f,k in (x,y)`' -r
complete -c plumb -n "__fish_plumb_using_subcommand destroy" -l max-deletes -d 'Allow this many deletions, or this share of each kind, instead of 10 and 30 %' -r
complete -c plumb -n "__fish_plumb_using_subcommand destroy" -s f -l file -d 'File, folder or Git URL to read manifests from, or `-` for standard input; may be repeated [default: .]' -r -F
complete -c plumb -n "__fish_plumb_using_subcommand destroy" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c plumb -n "__fish_plumb_using_subcommand destroy" -l log-format -d 'How to write the log on standard error' -r -f -a "text\t'Lines for people'
json\t'One JSON object a line'"
complete -c plumb -n "__fish_plumb_using_subcommand destroy" -l inventory -d 'Where the ownership record is: a path, or a URL such as `s3://BUCKET/KEY` [default: .plumb/inventory.db]' -r -f
complete -c plumb -n "__fish_plumb_using_subcommand destroy" -l connection -d 'Override a connection\'s base URL, whose host is then allowed; may be repeated' -r
complete -c plumb -n "__fish_plumb_using_subcommand destroy" -l allow-host -d 'Allow credentials to go to a further host; may be repeated' -r -f -a "(__fish_print_hostnames)"
complete -c plumb -n "__fish_plumb_using_subcommand destroy" -s y -l yes -d 'Ask no question; required where there is no terminal'
complete -c plumb -n "__fish_plumb_using_subcommand destroy" -l keep-going -d 'Go on with the objects that an error does not concern'
complete -c plumb -n "__fish_plumb_using_subcommand destroy" -s v -l verbose -d 'Say more on standard error: -v for steps, -vv for calls, -vvv for everything'
complete -c plumb -n "__fish_plumb_using_subcommand destroy" -s q -l quiet -d 'Say nothing on standard error but errors'
complete -c plumb -n "__fish_plumb_using_subcommand destroy" -l sandbox -d 'Run against simulated APIs in this process'
complete -c plumb -n "__fish_plumb_using_subcommand destroy" -l allow-plaintext-secrets -d 'Accept sensitive values that are written in manifests as `{value: …}`'
complete -c plumb -n "__fish_plumb_using_subcommand destroy" -l allow-exec -d 'Run the commands that sensitive values name as `{valueFrom: {exec: …}}`'
complete -c plumb -n "__fish_plumb_using_subcommand destroy" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c plumb -n "__fish_plumb_using_subcommand drift" -s o -l output -d 'How to print the result' -r -f -a "text\t'For people'
json\t'For programs: one versioned object'
markdown\t'For a comment on a pull request'
html\t'One self-contained page'"
complete -c plumb -n "__fish_plumb_using_subcommand drift" -l target -d 'Plan only this object and what it depends on; may be repeated' -r
complete -c plumb -n "__fish_plumb_using_subcommand drift" -l exclude -d 'Leave this object and what depends on it out; may be repeated' -r
complete -c plumb -n "__fish_plumb_using_subcommand drift" -s l -l selector -d 'Plan only objects with these labels: `a=b,c!=d,e,!f,k in (x,y)`' -r
complete -c plumb -n "__fish_plumb_using_subcommand drift" -s f -l file -d 'File, folder or Git URL to read manifests from, or `-` for standard input; may be repeated [default: .]' -r -F
complete -c plumb -n "__fish_plumb_using_subcommand drift" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c plumb -n "__fish_plumb_using_subcommand drift" -l log-format -d 'How to write the log on standard error' -r -f -a "text\t'Lines for people'
json\t'One JSON object a line'"
complete -c plumb -n "__fish_plumb_using_subcommand drift" -l inventory -d 'Where the ownership record is: a path, or a URL such as `s3://BUCKET/KEY` [default: .plumb/inventory.db]' -r -f
complete -c plumb -n "__fish_plumb_using_subcommand drift" -l connection -d 'Override a connection\'s base URL, whose host is then allowed; may be repeated' -r
complete -c plumb -n "__fish_plumb_using_subcommand drift" -l allow-host -d 'Allow credentials to go to a further host; may be repeated' -r -f -a "(__fish_print_hostnames)"
complete -c plumb -n "__fish_plumb_using_subcommand drift" -s v -l verbose -d 'Say more on standard error: -v for steps, -vv for calls, -vvv for everything'
complete -c plumb -n "__fish_plumb_using_subcommand drift" -s q -l quiet -d 'Say nothing on standard error but errors'
complete -c plumb -n "__fish_plumb_using_subcommand drift" -l sandbox -d 'Run against simulated APIs in this process'
complete -c plumb -n "__fish_plumb_using_subcommand drift" -l allow-plaintext-secrets -d 'Accept sensitive values that are written in manifests as `{value: …}`'
complete -c plumb -n "__fish_plumb_using_subcommand drift" -l allow-exec -d 'Run the commands that sensitive values name as `{valueFrom: {exec: …}}`'
complete -c plumb -n "__fish_plumb_using_subcommand drift" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c plumb -n "__fish_plumb_using_subcommand export" -l to -d 'Folder to write the manifests to; standard output where there is none' -r -f -a "(__fish_complete_directories)"
complete -c plumb -n "__fish_plumb_using_subcommand export" -l layout -d 'How the manifests are laid out in files' -r -f -a "kind\t'One file a kind'
tree\t'A folder for each object that contains others, with a file a kind in it'"
complete -c plumb -n "__fish_plumb_using_subcommand export" -l from -d 'Read the account of this connection only; may be repeated' -r
complete -c plumb -n "__fish_plumb_using_subcommand export" -l api -d 'Read an account of this API, with a connection made for it where the manifests have none' -r
complete -c plumb -n "__fish_plumb_using_subcommand export" -l omit -d 'Leave a field out, or the entries of a field; may be repeated' -r
complete -c plumb -n "__fish_plumb_using_subcommand export" -s o -l output -d 'This verb has one form of output' -r
complete -c plumb -n "__fish_plumb_using_subcommand export" -s f -l file -d 'File, folder or Git URL to read manifests from, or `-` for standard input; may be repeated [default: .]' -r -F
complete -c plumb -n "__fish_plumb_using_subcommand export" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c plumb -n "__fish_plumb_using_subcommand export" -l log-format -d 'How to write the log on standard error' -r -f -a "text\t'Lines for people'
json\t'One JSON object a line'"
complete -c plumb -n "__fish_plumb_using_subcommand export" -l inventory -d 'Where the ownership record is: a path, or a URL such as `s3://BUCKET/KEY` [default: .plumb/inventory.db]' -r -f
complete -c plumb -n "__fish_plumb_using_subcommand export" -l connection -d 'Override a connection\'s base URL, whose host is then allowed; may be repeated' -r
complete -c plumb -n "__fish_plumb_using_subcommand export" -l allow-host -d 'Allow credentials to go to a further host; may be repeated' -r -f -a "(__fish_print_hostnames)"
complete -c plumb -n "__fish_plumb_using_subcommand export" -l unmanaged -d 'Leave out what the manifests declare already'
complete -c plumb -n "__fish_plumb_using_subcommand export" -l redact -d 'Write variables in place of values that may be sensitive, such as parameters, too'
complete -c plumb -n "__fish_plumb_using_subcommand export" -l force -d 'Overwrite files that are there with something else in them'
complete -c plumb -n "__fish_plumb_using_subcommand export" -s v -l verbose -d 'Say more on standard error: -v for steps, -vv for calls, -vvv for everything'
complete -c plumb -n "__fish_plumb_using_subcommand export" -s q -l quiet -d 'Say nothing on standard error but errors'
complete -c plumb -n "__fish_plumb_using_subcommand export" -l sandbox -d 'Run against simulated APIs in this process'
complete -c plumb -n "__fish_plumb_using_subcommand export" -l allow-plaintext-secrets -d 'Accept sensitive values that are written in manifests as `{value: …}`'
complete -c plumb -n "__fish_plumb_using_subcommand export" -l allow-exec -d 'Run the commands that sensitive values name as `{valueFrom: {exec: …}}`'
complete -c plumb -n "__fish_plumb_using_subcommand export" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c plumb -n "__fish_plumb_using_subcommand import" -s o -l output -d 'This verb has one form of output' -r
complete -c plumb -n "__fish_plumb_using_subcommand import" -s f -l file -d 'File, folder or Git URL to read manifests from, or `-` for standard input; may be repeated [default: .]' -r -F
complete -c plumb -n "__fish_plumb_using_subcommand import" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c plumb -n "__fish_plumb_using_subcommand import" -l log-format -d 'How to write the log on standard error' -r -f -a "text\t'Lines for people'
json\t'One JSON object a line'"
complete -c plumb -n "__fish_plumb_using_subcommand import" -l inventory -d 'Where the ownership record is: a path, or a URL such as `s3://BUCKET/KEY` [default: .plumb/inventory.db]' -r -f
complete -c plumb -n "__fish_plumb_using_subcommand import" -l connection -d 'Override a connection\'s base URL, whose host is then allowed; may be repeated' -r
complete -c plumb -n "__fish_plumb_using_subcommand import" -l allow-host -d 'Allow credentials to go to a further host; may be repeated' -r -f -a "(__fish_print_hostnames)"
complete -c plumb -n "__fish_plumb_using_subcommand import" -s v -l verbose -d 'Say more on standard error: -v for steps, -vv for calls, -vvv for everything'
complete -c plumb -n "__fish_plumb_using_subcommand import" -s q -l quiet -d 'Say nothing on standard error but errors'
complete -c plumb -n "__fish_plumb_using_subcommand import" -l sandbox -d 'Run against simulated APIs in this process'
complete -c plumb -n "__fish_plumb_using_subcommand import" -l allow-plaintext-secrets -d 'Accept sensitive values that are written in manifests as `{value: …}`'
complete -c plumb -n "__fish_plumb_using_subcommand import" -l allow-exec -d 'Run the commands that sensitive values name as `{valueFrom: {exec: …}}`'
complete -c plumb -n "__fish_plumb_using_subcommand import" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c plumb -n "__fish_plumb_using_subcommand unmanaged" -s o -l output -d 'How to print the result' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c plumb -n "__fish_plumb_using_subcommand unmanaged" -s f -l file -d 'File, folder or Git URL to read manifests from, or `-` for standard input; may be repeated [default: .]' -r -F
complete -c plumb -n "__fish_plumb_using_subcommand unmanaged" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c plumb -n "__fish_plumb_using_subcommand unmanaged" -l log-format -d 'How to write the log on standard error' -r -f -a "text\t'Lines for people'
json\t'One JSON object a line'"
complete -c plumb -n "__fish_plumb_using_subcommand unmanaged" -l inventory -d 'Where the ownership record is: a path, or a URL such as `s3://BUCKET/KEY` [default: .plumb/inventory.db]' -r -f
complete -c plumb -n "__fish_plumb_using_subcommand unmanaged" -l connection -d 'Override a connection\'s base URL, whose host is then allowed; may be repeated' -r
complete -c plumb -n "__fish_plumb_using_subcommand unmanaged" -l allow-host -d 'Allow credentials to go to a further host; may be repeated' -r -f -a "(__fish_print_hostnames)"
complete -c plumb -n "__fish_plumb_using_subcommand unmanaged" -s v -l verbose -d 'Say more on standard error: -v for steps, -vv for calls, -vvv for everything'
complete -c plumb -n "__fish_plumb_using_subcommand unmanaged" -s q -l quiet -d 'Say nothing on standard error but errors'
complete -c plumb -n "__fish_plumb_using_subcommand unmanaged" -l sandbox -d 'Run against simulated APIs in this process'
complete -c plumb -n "__fish_plumb_using_subcommand unmanaged" -l allow-plaintext-secrets -d 'Accept sensitive values that are written in manifests as `{value: …}`'
complete -c plumb -n "__fish_plumb_using_subcommand unmanaged" -l allow-exec -d 'Run the commands that sensitive values name as `{valueFrom: {exec: …}}`'
complete -c plumb -n "__fish_plumb_using_subcommand unmanaged" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c plumb -n "__fish_plumb_using_subcommand forget" -s o -l output -d 'This verb has one form of output' -r
complete -c plumb -n "__fish_plumb_using_subcommand forget" -s f -l file -d 'File, folder or Git URL to read manifests from, or `-` for standard input; may be repeated [default: .]' -r -F
complete -c plumb -n "__fish_plumb_using_subcommand forget" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c plumb -n "__fish_plumb_using_subcommand forget" -l log-format -d 'How to write the log on standard error' -r -f -a "text\t'Lines for people'
json\t'One JSON object a line'"
complete -c plumb -n "__fish_plumb_using_subcommand forget" -l inventory -d 'Where the ownership record is: a path, or a URL such as `s3://BUCKET/KEY` [default: .plumb/inventory.db]' -r -f
complete -c plumb -n "__fish_plumb_using_subcommand forget" -l connection -d 'Override a connection\'s base URL, whose host is then allowed; may be repeated' -r
complete -c plumb -n "__fish_plumb_using_subcommand forget" -l allow-host -d 'Allow credentials to go to a further host; may be repeated' -r -f -a "(__fish_print_hostnames)"
complete -c plumb -n "__fish_plumb_using_subcommand forget" -s v -l verbose -d 'Say more on standard error: -v for steps, -vv for calls, -vvv for everything'
complete -c plumb -n "__fish_plumb_using_subcommand forget" -s q -l quiet -d 'Say nothing on standard error but errors'
complete -c plumb -n "__fish_plumb_using_subcommand forget" -l sandbox -d 'Run against simulated APIs in this process'
complete -c plumb -n "__fish_plumb_using_subcommand forget" -l allow-plaintext-secrets -d 'Accept sensitive values that are written in manifests as `{value: …}`'
complete -c plumb -n "__fish_plumb_using_subcommand forget" -l allow-exec -d 'Run the commands that sensitive values name as `{valueFrom: {exec: …}}`'
complete -c plumb -n "__fish_plumb_using_subcommand forget" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and not __fish_seen_subcommand_from list show rebuild unlock help" -s o -l output -d 'How to print the result' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and not __fish_seen_subcommand_from list show rebuild unlock help" -s f -l file -d 'File, folder or Git URL to read manifests from, or `-` for standard input; may be repeated [default: .]' -r -F
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and not __fish_seen_subcommand_from list show rebuild unlock help" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and not __fish_seen_subcommand_from list show rebuild unlock help" -l log-format -d 'How to write the log on standard error' -r -f -a "text\t'Lines for people'
json\t'One JSON object a line'"
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and not __fish_seen_subcommand_from list show rebuild unlock help" -l inventory -d 'Where the ownership record is: a path, or a URL such as `s3://BUCKET/KEY` [default: .plumb/inventory.db]' -r -f
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and not __fish_seen_subcommand_from list show rebuild unlock help" -l connection -d 'Override a connection\'s base URL, whose host is then allowed; may be repeated' -r
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and not __fish_seen_subcommand_from list show rebuild unlock help" -l allow-host -d 'Allow credentials to go to a further host; may be repeated' -r -f -a "(__fish_print_hostnames)"
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and not __fish_seen_subcommand_from list show rebuild unlock help" -s v -l verbose -d 'Say more on standard error: -v for steps, -vv for calls, -vvv for everything'
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and not __fish_seen_subcommand_from list show rebuild unlock help" -s q -l quiet -d 'Say nothing on standard error but errors'
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and not __fish_seen_subcommand_from list show rebuild unlock help" -l sandbox -d 'Run against simulated APIs in this process'
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and not __fish_seen_subcommand_from list show rebuild unlock help" -l allow-plaintext-secrets -d 'Accept sensitive values that are written in manifests as `{value: …}`'
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and not __fish_seen_subcommand_from list show rebuild unlock help" -l allow-exec -d 'Run the commands that sensitive values name as `{valueFrom: {exec: …}}`'
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and not __fish_seen_subcommand_from list show rebuild unlock help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and not __fish_seen_subcommand_from list show rebuild unlock help" -f -a "list" -d 'List the owned objects'
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and not __fish_seen_subcommand_from list show rebuild unlock help" -f -a "show" -d 'Show what is recorded of one object'
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and not __fish_seen_subcommand_from list show rebuild unlock help" -f -a "rebuild" -d 'Find what the manifests declare by natural key, and record it as owned'
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and not __fish_seen_subcommand_from list show rebuild unlock help" -f -a "unlock" -d 'Break the lease of a writer that died'
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and not __fish_seen_subcommand_from list show rebuild unlock help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and __fish_seen_subcommand_from list" -s o -l output -d 'How to print the result' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and __fish_seen_subcommand_from list" -s f -l file -d 'File, folder or Git URL to read manifests from, or `-` for standard input; may be repeated [default: .]' -r -F
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and __fish_seen_subcommand_from list" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and __fish_seen_subcommand_from list" -l log-format -d 'How to write the log on standard error' -r -f -a "text\t'Lines for people'
json\t'One JSON object a line'"
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and __fish_seen_subcommand_from list" -l inventory -d 'Where the ownership record is: a path, or a URL such as `s3://BUCKET/KEY` [default: .plumb/inventory.db]' -r -f
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and __fish_seen_subcommand_from list" -l connection -d 'Override a connection\'s base URL, whose host is then allowed; may be repeated' -r
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and __fish_seen_subcommand_from list" -l allow-host -d 'Allow credentials to go to a further host; may be repeated' -r -f -a "(__fish_print_hostnames)"
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and __fish_seen_subcommand_from list" -s v -l verbose -d 'Say more on standard error: -v for steps, -vv for calls, -vvv for everything'
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Say nothing on standard error but errors'
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and __fish_seen_subcommand_from list" -l sandbox -d 'Run against simulated APIs in this process'
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and __fish_seen_subcommand_from list" -l allow-plaintext-secrets -d 'Accept sensitive values that are written in manifests as `{value: …}`'
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and __fish_seen_subcommand_from list" -l allow-exec -d 'Run the commands that sensitive values name as `{valueFrom: {exec: …}}`'
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and __fish_seen_subcommand_from show" -s o -l output -d 'How to print the result' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and __fish_seen_subcommand_from show" -s f -l file -d 'File, folder or Git URL to read manifests from, or `-` for standard input; may be repeated [default: .]' -r -F
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and __fish_seen_subcommand_from show" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and __fish_seen_subcommand_from show" -l log-format -d 'How to write the log on standard error' -r -f -a "text\t'Lines for people'
json\t'One JSON object a line'"
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and __fish_seen_subcommand_from show" -l inventory -d 'Where the ownership record is: a path, or a URL such as `s3://BUCKET/KEY` [default: .plumb/inventory.db]' -r -f
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and __fish_seen_subcommand_from show" -l connection -d 'Override a connection\'s base URL, whose host is then allowed; may be repeated' -r
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and __fish_seen_subcommand_from show" -l allow-host -d 'Allow credentials to go to a further host; may be repeated' -r -f -a "(__fish_print_hostnames)"
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and __fish_seen_subcommand_from show" -s v -l verbose -d 'Say more on standard error: -v for steps, -vv for calls, -vvv for everything'
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and __fish_seen_subcommand_from show" -s q -l quiet -d 'Say nothing on standard error but errors'
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and __fish_seen_subcommand_from show" -l sandbox -d 'Run against simulated APIs in this process'
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and __fish_seen_subcommand_from show" -l allow-plaintext-secrets -d 'Accept sensitive values that are written in manifests as `{value: …}`'
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and __fish_seen_subcommand_from show" -l allow-exec -d 'Run the commands that sensitive values name as `{valueFrom: {exec: …}}`'
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and __fish_seen_subcommand_from rebuild" -s o -l output -d 'How to print the result' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and __fish_seen_subcommand_from rebuild" -s f -l file -d 'File, folder or Git URL to read manifests from, or `-` for standard input; may be repeated [default: .]' -r -F
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and __fish_seen_subcommand_from rebuild" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and __fish_seen_subcommand_from rebuild" -l log-format -d 'How to write the log on standard error' -r -f -a "text\t'Lines for people'
json\t'One JSON object a line'"
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and __fish_seen_subcommand_from rebuild" -l inventory -d 'Where the ownership record is: a path, or a URL such as `s3://BUCKET/KEY` [default: .plumb/inventory.db]' -r -f
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and __fish_seen_subcommand_from rebuild" -l connection -d 'Override a connection\'s base URL, whose host is then allowed; may be repeated' -r
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and __fish_seen_subcommand_from rebuild" -l allow-host -d 'Allow credentials to go to a further host; may be repeated' -r -f -a "(__fish_print_hostnames)"
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and __fish_seen_subcommand_from rebuild" -l as-created -d 'Record the objects as created by plumb rather than adopted: they may be deleted again'
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and __fish_seen_subcommand_from rebuild" -s v -l verbose -d 'Say more on standard error: -v for steps, -vv for calls, -vvv for everything'
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and __fish_seen_subcommand_from rebuild" -s q -l quiet -d 'Say nothing on standard error but errors'
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and __fish_seen_subcommand_from rebuild" -l sandbox -d 'Run against simulated APIs in this process'
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and __fish_seen_subcommand_from rebuild" -l allow-plaintext-secrets -d 'Accept sensitive values that are written in manifests as `{value: …}`'
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and __fish_seen_subcommand_from rebuild" -l allow-exec -d 'Run the commands that sensitive values name as `{valueFrom: {exec: …}}`'
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and __fish_seen_subcommand_from rebuild" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and __fish_seen_subcommand_from unlock" -s o -l output -d 'How to print the result' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and __fish_seen_subcommand_from unlock" -s f -l file -d 'File, folder or Git URL to read manifests from, or `-` for standard input; may be repeated [default: .]' -r -F
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and __fish_seen_subcommand_from unlock" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and __fish_seen_subcommand_from unlock" -l log-format -d 'How to write the log on standard error' -r -f -a "text\t'Lines for people'
json\t'One JSON object a line'"
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and __fish_seen_subcommand_from unlock" -l inventory -d 'Where the ownership record is: a path, or a URL such as `s3://BUCKET/KEY` [default: .plumb/inventory.db]' -r -f
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and __fish_seen_subcommand_from unlock" -l connection -d 'Override a connection\'s base URL, whose host is then allowed; may be repeated' -r
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and __fish_seen_subcommand_from unlock" -l allow-host -d 'Allow credentials to go to a further host; may be repeated' -r -f -a "(__fish_print_hostnames)"
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and __fish_seen_subcommand_from unlock" -s v -l verbose -d 'Say more on standard error: -v for steps, -vv for calls, -vvv for everything'
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and __fish_seen_subcommand_from unlock" -s q -l quiet -d 'Say nothing on standard error but errors'
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and __fish_seen_subcommand_from unlock" -l sandbox -d 'Run against simulated APIs in this process'
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and __fish_seen_subcommand_from unlock" -l allow-plaintext-secrets -d 'Accept sensitive values that are written in manifests as `{value: …}`'
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and __fish_seen_subcommand_from unlock" -l allow-exec -d 'Run the commands that sensitive values name as `{valueFrom: {exec: …}}`'
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and __fish_seen_subcommand_from unlock" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and __fish_seen_subcommand_from help" -f -a "list" -d 'List the owned objects'
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and __fish_seen_subcommand_from help" -f -a "show" -d 'Show what is recorded of one object'
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and __fish_seen_subcommand_from help" -f -a "rebuild" -d 'Find what the manifests declare by natural key, and record it as owned'
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and __fish_seen_subcommand_from help" -f -a "unlock" -d 'Break the lease of a writer that died'
complete -c plumb -n "__fish_plumb_using_subcommand inventory; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c plumb -n "__fish_plumb_using_subcommand history" -s o -l output -d 'How to print the result' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c plumb -n "__fish_plumb_using_subcommand history" -s f -l file -d 'File, folder or Git URL to read manifests from, or `-` for standard input; may be repeated [default: .]' -r -F
complete -c plumb -n "__fish_plumb_using_subcommand history" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c plumb -n "__fish_plumb_using_subcommand history" -l log-format -d 'How to write the log on standard error' -r -f -a "text\t'Lines for people'
json\t'One JSON object a line'"
complete -c plumb -n "__fish_plumb_using_subcommand history" -l inventory -d 'Where the ownership record is: a path, or a URL such as `s3://BUCKET/KEY` [default: .plumb/inventory.db]' -r -f
complete -c plumb -n "__fish_plumb_using_subcommand history" -l connection -d 'Override a connection\'s base URL, whose host is then allowed; may be repeated' -r
complete -c plumb -n "__fish_plumb_using_subcommand history" -l allow-host -d 'Allow credentials to go to a further host; may be repeated' -r -f -a "(__fish_print_hostnames)"
complete -c plumb -n "__fish_plumb_using_subcommand history" -s v -l verbose -d 'Say more on standard error: -v for steps, -vv for calls, -vvv for everything'
complete -c plumb -n "__fish_plumb_using_subcommand history" -s q -l quiet -d 'Say nothing on standard error but errors'
complete -c plumb -n "__fish_plumb_using_subcommand history" -l sandbox -d 'Run against simulated APIs in this process'
complete -c plumb -n "__fish_plumb_using_subcommand history" -l allow-plaintext-secrets -d 'Accept sensitive values that are written in manifests as `{value: …}`'
complete -c plumb -n "__fish_plumb_using_subcommand history" -l allow-exec -d 'Run the commands that sensitive values name as `{valueFrom: {exec: …}}`'
complete -c plumb -n "__fish_plumb_using_subcommand history" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c plumb -n "__fish_plumb_using_subcommand undo" -s o -l output -d 'How to print the result' -r -f -a "text\t'For people'
json\t'For programs: one versioned object'
markdown\t'For a comment on a pull request'
html\t'One self-contained page'"
complete -c plumb -n "__fish_plumb_using_subcommand undo" -l target -d 'Restore only this object; may be repeated' -r
complete -c plumb -n "__fish_plumb_using_subcommand undo" -s f -l file -d 'File, folder or Git URL to read manifests from, or `-` for standard input; may be repeated [default: .]' -r -F
complete -c plumb -n "__fish_plumb_using_subcommand undo" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c plumb -n "__fish_plumb_using_subcommand undo" -l log-format -d 'How to write the log on standard error' -r -f -a "text\t'Lines for people'
json\t'One JSON object a line'"
complete -c plumb -n "__fish_plumb_using_subcommand undo" -l inventory -d 'Where the ownership record is: a path, or a URL such as `s3://BUCKET/KEY` [default: .plumb/inventory.db]' -r -f
complete -c plumb -n "__fish_plumb_using_subcommand undo" -l connection -d 'Override a connection\'s base URL, whose host is then allowed; may be repeated' -r
complete -c plumb -n "__fish_plumb_using_subcommand undo" -l allow-host -d 'Allow credentials to go to a further host; may be repeated' -r -f -a "(__fish_print_hostnames)"
complete -c plumb -n "__fish_plumb_using_subcommand undo" -s y -l yes -d 'Ask no question; required where there is no terminal'
complete -c plumb -n "__fish_plumb_using_subcommand undo" -l dry-run -d 'Show the plan, and write nothing'
complete -c plumb -n "__fish_plumb_using_subcommand undo" -l keep-going -d 'Go on with the objects that an error does not concern'
complete -c plumb -n "__fish_plumb_using_subcommand undo" -s v -l verbose -d 'Say more on standard error: -v for steps, -vv for calls, -vvv for everything'
complete -c plumb -n "__fish_plumb_using_subcommand undo" -s q -l quiet -d 'Say nothing on standard error but errors'
complete -c plumb -n "__fish_plumb_using_subcommand undo" -l sandbox -d 'Run against simulated APIs in this process'
complete -c plumb -n "__fish_plumb_using_subcommand undo" -l allow-plaintext-secrets -d 'Accept sensitive values that are written in manifests as `{value: …}`'
complete -c plumb -n "__fish_plumb_using_subcommand undo" -l allow-exec -d 'Run the commands that sensitive values name as `{valueFrom: {exec: …}}`'
complete -c plumb -n "__fish_plumb_using_subcommand undo" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c plumb -n "__fish_plumb_using_subcommand graph" -s o -l output -d 'How to print the result' -r -f -a "dot\t'For Graphviz'
mermaid\t'For Markdown'
svg\t'A picture'"
complete -c plumb -n "__fish_plumb_using_subcommand graph" -l target -d 'Plan only this object and what it depends on; may be repeated' -r
complete -c plumb -n "__fish_plumb_using_subcommand graph" -l exclude -d 'Leave this object and what depends on it out; may be repeated' -r
complete -c plumb -n "__fish_plumb_using_subcommand graph" -s l -l selector -d 'Plan only objects with these labels: `a=b,c!=d,e,!f,k in (x,y)`' -r
complete -c plumb -n "__fish_plumb_using_subcommand graph" -s f -l file -d 'File, folder or Git URL to read manifests from, or `-` for standard input; may be repeated [default: .]' -r -F
complete -c plumb -n "__fish_plumb_using_subcommand graph" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c plumb -n "__fish_plumb_using_subcommand graph" -l log-format -d 'How to write the log on standard error' -r -f -a "text\t'Lines for people'
json\t'One JSON object a line'"
complete -c plumb -n "__fish_plumb_using_subcommand graph" -l inventory -d 'Where the ownership record is: a path, or a URL such as `s3://BUCKET/KEY` [default: .plumb/inventory.db]' -r -f
complete -c plumb -n "__fish_plumb_using_subcommand graph" -l connection -d 'Override a connection\'s base URL, whose host is then allowed; may be repeated' -r
complete -c plumb -n "__fish_plumb_using_subcommand graph" -l allow-host -d 'Allow credentials to go to a further host; may be repeated' -r -f -a "(__fish_print_hostnames)"
complete -c plumb -n "__fish_plumb_using_subcommand graph" -s v -l verbose -d 'Say more on standard error: -v for steps, -vv for calls, -vvv for everything'
complete -c plumb -n "__fish_plumb_using_subcommand graph" -s q -l quiet -d 'Say nothing on standard error but errors'
complete -c plumb -n "__fish_plumb_using_subcommand graph" -l sandbox -d 'Run against simulated APIs in this process'
complete -c plumb -n "__fish_plumb_using_subcommand graph" -l allow-plaintext-secrets -d 'Accept sensitive values that are written in manifests as `{value: …}`'
complete -c plumb -n "__fish_plumb_using_subcommand graph" -l allow-exec -d 'Run the commands that sensitive values name as `{valueFrom: {exec: …}}`'
complete -c plumb -n "__fish_plumb_using_subcommand graph" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c plumb -n "__fish_plumb_using_subcommand doctor" -s o -l output -d 'How to print the result' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c plumb -n "__fish_plumb_using_subcommand doctor" -s f -l file -d 'File, folder or Git URL to read manifests from, or `-` for standard input; may be repeated [default: .]' -r -F
complete -c plumb -n "__fish_plumb_using_subcommand doctor" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c plumb -n "__fish_plumb_using_subcommand doctor" -l log-format -d 'How to write the log on standard error' -r -f -a "text\t'Lines for people'
json\t'One JSON object a line'"
complete -c plumb -n "__fish_plumb_using_subcommand doctor" -l inventory -d 'Where the ownership record is: a path, or a URL such as `s3://BUCKET/KEY` [default: .plumb/inventory.db]' -r -f
complete -c plumb -n "__fish_plumb_using_subcommand doctor" -l connection -d 'Override a connection\'s base URL, whose host is then allowed; may be repeated' -r
complete -c plumb -n "__fish_plumb_using_subcommand doctor" -l allow-host -d 'Allow credentials to go to a further host; may be repeated' -r -f -a "(__fish_print_hostnames)"
complete -c plumb -n "__fish_plumb_using_subcommand doctor" -s v -l verbose -d 'Say more on standard error: -v for steps, -vv for calls, -vvv for everything'
complete -c plumb -n "__fish_plumb_using_subcommand doctor" -s q -l quiet -d 'Say nothing on standard error but errors'
complete -c plumb -n "__fish_plumb_using_subcommand doctor" -l sandbox -d 'Run against simulated APIs in this process'
complete -c plumb -n "__fish_plumb_using_subcommand doctor" -l allow-plaintext-secrets -d 'Accept sensitive values that are written in manifests as `{value: …}`'
complete -c plumb -n "__fish_plumb_using_subcommand doctor" -l allow-exec -d 'Run the commands that sensitive values name as `{valueFrom: {exec: …}}`'
complete -c plumb -n "__fish_plumb_using_subcommand doctor" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c plumb -n "__fish_plumb_using_subcommand explain" -s o -l output -d 'How to print the result' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c plumb -n "__fish_plumb_using_subcommand explain" -s f -l file -d 'File, folder or Git URL to read manifests from, or `-` for standard input; may be repeated [default: .]' -r -F
complete -c plumb -n "__fish_plumb_using_subcommand explain" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c plumb -n "__fish_plumb_using_subcommand explain" -l log-format -d 'How to write the log on standard error' -r -f -a "text\t'Lines for people'
json\t'One JSON object a line'"
complete -c plumb -n "__fish_plumb_using_subcommand explain" -l inventory -d 'Where the ownership record is: a path, or a URL such as `s3://BUCKET/KEY` [default: .plumb/inventory.db]' -r -f
complete -c plumb -n "__fish_plumb_using_subcommand explain" -l connection -d 'Override a connection\'s base URL, whose host is then allowed; may be repeated' -r
complete -c plumb -n "__fish_plumb_using_subcommand explain" -l allow-host -d 'Allow credentials to go to a further host; may be repeated' -r -f -a "(__fish_print_hostnames)"
complete -c plumb -n "__fish_plumb_using_subcommand explain" -s v -l verbose -d 'Say more on standard error: -v for steps, -vv for calls, -vvv for everything'
complete -c plumb -n "__fish_plumb_using_subcommand explain" -s q -l quiet -d 'Say nothing on standard error but errors'
complete -c plumb -n "__fish_plumb_using_subcommand explain" -l sandbox -d 'Run against simulated APIs in this process'
complete -c plumb -n "__fish_plumb_using_subcommand explain" -l allow-plaintext-secrets -d 'Accept sensitive values that are written in manifests as `{value: …}`'
complete -c plumb -n "__fish_plumb_using_subcommand explain" -l allow-exec -d 'Run the commands that sensitive values name as `{valueFrom: {exec: …}}`'
complete -c plumb -n "__fish_plumb_using_subcommand explain" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c plumb -n "__fish_plumb_using_subcommand schema" -s o -l output -d 'This verb has one form of output' -r
complete -c plumb -n "__fish_plumb_using_subcommand schema" -s f -l file -d 'File, folder or Git URL to read manifests from, or `-` for standard input; may be repeated [default: .]' -r -F
complete -c plumb -n "__fish_plumb_using_subcommand schema" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c plumb -n "__fish_plumb_using_subcommand schema" -l log-format -d 'How to write the log on standard error' -r -f -a "text\t'Lines for people'
json\t'One JSON object a line'"
complete -c plumb -n "__fish_plumb_using_subcommand schema" -l inventory -d 'Where the ownership record is: a path, or a URL such as `s3://BUCKET/KEY` [default: .plumb/inventory.db]' -r -f
complete -c plumb -n "__fish_plumb_using_subcommand schema" -l connection -d 'Override a connection\'s base URL, whose host is then allowed; may be repeated' -r
complete -c plumb -n "__fish_plumb_using_subcommand schema" -l allow-host -d 'Allow credentials to go to a further host; may be repeated' -r -f -a "(__fish_print_hostnames)"
complete -c plumb -n "__fish_plumb_using_subcommand schema" -s v -l verbose -d 'Say more on standard error: -v for steps, -vv for calls, -vvv for everything'
complete -c plumb -n "__fish_plumb_using_subcommand schema" -s q -l quiet -d 'Say nothing on standard error but errors'
complete -c plumb -n "__fish_plumb_using_subcommand schema" -l sandbox -d 'Run against simulated APIs in this process'
complete -c plumb -n "__fish_plumb_using_subcommand schema" -l allow-plaintext-secrets -d 'Accept sensitive values that are written in manifests as `{value: …}`'
complete -c plumb -n "__fish_plumb_using_subcommand schema" -l allow-exec -d 'Run the commands that sensitive values name as `{valueFrom: {exec: …}}`'
complete -c plumb -n "__fish_plumb_using_subcommand schema" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c plumb -n "__fish_plumb_using_subcommand apis" -s o -l output -d 'How to print the result' -r -f -a "text\t'For people'
json\t'For programs'"
complete -c plumb -n "__fish_plumb_using_subcommand apis" -s f -l file -d 'File, folder or Git URL to read manifests from, or `-` for standard input; may be repeated [default: .]' -r -F
complete -c plumb -n "__fish_plumb_using_subcommand apis" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c plumb -n "__fish_plumb_using_subcommand apis" -l log-format -d 'How to write the log on standard error' -r -f -a "text\t'Lines for people'
json\t'One JSON object a line'"
complete -c plumb -n "__fish_plumb_using_subcommand apis" -l inventory -d 'Where the ownership record is: a path, or a URL such as `s3://BUCKET/KEY` [default: .plumb/inventory.db]' -r -f
complete -c plumb -n "__fish_plumb_using_subcommand apis" -l connection -d 'Override a connection\'s base URL, whose host is then allowed; may be repeated' -r
complete -c plumb -n "__fish_plumb_using_subcommand apis" -l allow-host -d 'Allow credentials to go to a further host; may be repeated' -r -f -a "(__fish_print_hostnames)"
complete -c plumb -n "__fish_plumb_using_subcommand apis" -s v -l verbose -d 'Say more on standard error: -v for steps, -vv for calls, -vvv for everything'
complete -c plumb -n "__fish_plumb_using_subcommand apis" -s q -l quiet -d 'Say nothing on standard error but errors'
complete -c plumb -n "__fish_plumb_using_subcommand apis" -l sandbox -d 'Run against simulated APIs in this process'
complete -c plumb -n "__fish_plumb_using_subcommand apis" -l allow-plaintext-secrets -d 'Accept sensitive values that are written in manifests as `{value: …}`'
complete -c plumb -n "__fish_plumb_using_subcommand apis" -l allow-exec -d 'Run the commands that sensitive values name as `{valueFrom: {exec: …}}`'
complete -c plumb -n "__fish_plumb_using_subcommand apis" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c plumb -n "__fish_plumb_using_subcommand operator" -l namespace -d 'Namespace to look at; may be repeated [default: all]' -r
complete -c plumb -n "__fish_plumb_using_subcommand operator" -l interval -d 'How often each connection\'s objects are looked at, where the connection has no `interval`' -r
complete -c plumb -n "__fish_plumb_using_subcommand operator" -l debounce -d 'For how long nothing has to change before changes are planned' -r
complete -c plumb -n "__fish_plumb_using_subcommand operator" -l release-after -d 'How long a deletion waits for a credential or for what the live object contains, before it leaves the object' -r
complete -c plumb -n "__fish_plumb_using_subcommand operator" -l allow-secret -d 'Secret that resources may refer to, `*` at its end for anything; may be repeated [default: all of their namespace]' -r
complete -c plumb -n "__fish_plumb_using_subcommand operator" -l allow-env -d 'Environment variable that resources may refer to, `*` at its end for anything; may be repeated' -r
complete -c plumb -n "__fish_plumb_using_subcommand operator" -l allow-folder -d 'Folder whose files resources may refer to; may be repeated' -r -f -a "(__fish_complete_directories)"
complete -c plumb -n "__fish_plumb_using_subcommand operator" -l lease -d 'Lease by which one of several replicas is chosen' -r
complete -c plumb -n "__fish_plumb_using_subcommand operator" -l identity -d 'What this replica is called [default: the host\'s name]' -r
complete -c plumb -n "__fish_plumb_using_subcommand operator" -l allow-age-key -d 'File with age keys that open `valueFrom.sops`; may be repeated' -r -F
complete -c plumb -n "__fish_plumb_using_subcommand operator" -l git-cache -d 'Folder in which the repositories of stacks are kept; nothing is lost with it [default: in the system\'s folder for what passes]' -r -f -a "(__fish_complete_directories)"
complete -c plumb -n "__fish_plumb_using_subcommand operator" -l webhook -d 'Forge whose webhooks are taken at `/webhooks/FORGE`, and the file with the secret that it signs with; may be repeated' -r
complete -c plumb -n "__fish_plumb_using_subcommand operator" -l listen -d 'Where probes, metrics and the status page are served; the page needs `PLUMB_STATUS_TOKEN` but on loopback' -r
complete -c plumb -n "__fish_plumb_using_subcommand operator" -s o -l output -d 'This verb has one form of output' -r
complete -c plumb -n "__fish_plumb_using_subcommand operator" -s f -l file -d 'File, folder or Git URL to read manifests from, or `-` for standard input; may be repeated [default: .]' -r -F
complete -c plumb -n "__fish_plumb_using_subcommand operator" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c plumb -n "__fish_plumb_using_subcommand operator" -l log-format -d 'How to write the log on standard error' -r -f -a "text\t'Lines for people'
json\t'One JSON object a line'"
complete -c plumb -n "__fish_plumb_using_subcommand operator" -l inventory -d 'Where the ownership record is: a path, or a URL such as `s3://BUCKET/KEY` [default: .plumb/inventory.db]' -r -f
complete -c plumb -n "__fish_plumb_using_subcommand operator" -l connection -d 'Override a connection\'s base URL, whose host is then allowed; may be repeated' -r
complete -c plumb -n "__fish_plumb_using_subcommand operator" -l allow-host -d 'Allow credentials to go to a further host; may be repeated' -r -f -a "(__fish_print_hostnames)"
complete -c plumb -n "__fish_plumb_using_subcommand operator" -l prune-entries -d 'Delete entries of lists inside that are not declared any more'
complete -c plumb -n "__fish_plumb_using_subcommand operator" -l no-election -d 'Choose no leader although there is a lease'
complete -c plumb -n "__fish_plumb_using_subcommand operator" -s v -l verbose -d 'Say more on standard error: -v for steps, -vv for calls, -vvv for everything'
complete -c plumb -n "__fish_plumb_using_subcommand operator" -s q -l quiet -d 'Say nothing on standard error but errors'
complete -c plumb -n "__fish_plumb_using_subcommand operator" -l sandbox -d 'Run against simulated APIs in this process'
complete -c plumb -n "__fish_plumb_using_subcommand operator" -l allow-plaintext-secrets -d 'Accept sensitive values that are written in manifests as `{value: …}`'
complete -c plumb -n "__fish_plumb_using_subcommand operator" -l allow-exec -d 'Run the commands that sensitive values name as `{valueFrom: {exec: …}}`'
complete -c plumb -n "__fish_plumb_using_subcommand operator" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c plumb -n "__fish_plumb_using_subcommand crds" -l to -d 'Folder to write a file each to' -r -f -a "(__fish_complete_directories)"
complete -c plumb -n "__fish_plumb_using_subcommand crds" -s o -l output -d 'This verb has one form of output' -r
complete -c plumb -n "__fish_plumb_using_subcommand crds" -s f -l file -d 'File, folder or Git URL to read manifests from, or `-` for standard input; may be repeated [default: .]' -r -F
complete -c plumb -n "__fish_plumb_using_subcommand crds" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c plumb -n "__fish_plumb_using_subcommand crds" -l log-format -d 'How to write the log on standard error' -r -f -a "text\t'Lines for people'
json\t'One JSON object a line'"
complete -c plumb -n "__fish_plumb_using_subcommand crds" -l inventory -d 'Where the ownership record is: a path, or a URL such as `s3://BUCKET/KEY` [default: .plumb/inventory.db]' -r -f
complete -c plumb -n "__fish_plumb_using_subcommand crds" -l connection -d 'Override a connection\'s base URL, whose host is then allowed; may be repeated' -r
complete -c plumb -n "__fish_plumb_using_subcommand crds" -l allow-host -d 'Allow credentials to go to a further host; may be repeated' -r -f -a "(__fish_print_hostnames)"
complete -c plumb -n "__fish_plumb_using_subcommand crds" -s v -l verbose -d 'Say more on standard error: -v for steps, -vv for calls, -vvv for everything'
complete -c plumb -n "__fish_plumb_using_subcommand crds" -s q -l quiet -d 'Say nothing on standard error but errors'
complete -c plumb -n "__fish_plumb_using_subcommand crds" -l sandbox -d 'Run against simulated APIs in this process'
complete -c plumb -n "__fish_plumb_using_subcommand crds" -l allow-plaintext-secrets -d 'Accept sensitive values that are written in manifests as `{value: …}`'
complete -c plumb -n "__fish_plumb_using_subcommand crds" -l allow-exec -d 'Run the commands that sensitive values name as `{valueFrom: {exec: …}}`'
complete -c plumb -n "__fish_plumb_using_subcommand crds" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c plumb -n "__fish_plumb_using_subcommand sandbox" -l port -d 'Port on 127.0.0.1; 0 takes a free one [default: 8700]' -r
complete -c plumb -n "__fish_plumb_using_subcommand sandbox" -l latency -d 'Milliseconds that every answer takes' -r
complete -c plumb -n "__fish_plumb_using_subcommand sandbox" -l rate -d 'Requests allowed in a number of seconds (one unless given); more are answered with 429' -r
complete -c plumb -n "__fish_plumb_using_subcommand sandbox" -l faults -d 'What goes wrong: KIND[@METHOD[:PATH]]=N%|Nx, where KIND is a status (`429/2s` with a `Retry-After`), `reset`, `lost`, `truncate` or `slow`' -r
complete -c plumb -n "__fish_plumb_using_subcommand sandbox" -l seed -d 'File of objects that are there from the start' -r -F
complete -c plumb -n "__fish_plumb_using_subcommand sandbox" -l api -d 'Serve only this API; may be repeated' -r
complete -c plumb -n "__fish_plumb_using_subcommand sandbox" -s o -l output -d 'This verb has one form of output' -r
complete -c plumb -n "__fish_plumb_using_subcommand sandbox" -s f -l file -d 'File, folder or Git URL to read manifests from, or `-` for standard input; may be repeated [default: .]' -r -F
complete -c plumb -n "__fish_plumb_using_subcommand sandbox" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c plumb -n "__fish_plumb_using_subcommand sandbox" -l log-format -d 'How to write the log on standard error' -r -f -a "text\t'Lines for people'
json\t'One JSON object a line'"
complete -c plumb -n "__fish_plumb_using_subcommand sandbox" -l inventory -d 'Where the ownership record is: a path, or a URL such as `s3://BUCKET/KEY` [default: .plumb/inventory.db]' -r -f
complete -c plumb -n "__fish_plumb_using_subcommand sandbox" -l connection -d 'Override a connection\'s base URL, whose host is then allowed; may be repeated' -r
complete -c plumb -n "__fish_plumb_using_subcommand sandbox" -l allow-host -d 'Allow credentials to go to a further host; may be repeated' -r -f -a "(__fish_print_hostnames)"
complete -c plumb -n "__fish_plumb_using_subcommand sandbox" -s v -l verbose -d 'Say more on standard error: -v for steps, -vv for calls, -vvv for everything'
complete -c plumb -n "__fish_plumb_using_subcommand sandbox" -s q -l quiet -d 'Say nothing on standard error but errors'
complete -c plumb -n "__fish_plumb_using_subcommand sandbox" -l sandbox -d 'Run against simulated APIs in this process'
complete -c plumb -n "__fish_plumb_using_subcommand sandbox" -l allow-plaintext-secrets -d 'Accept sensitive values that are written in manifests as `{value: …}`'
complete -c plumb -n "__fish_plumb_using_subcommand sandbox" -l allow-exec -d 'Run the commands that sensitive values name as `{valueFrom: {exec: …}}`'
complete -c plumb -n "__fish_plumb_using_subcommand sandbox" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c plumb -n "__fish_plumb_using_subcommand demo" -s o -l output -d 'This verb has one form of output' -r
complete -c plumb -n "__fish_plumb_using_subcommand demo" -s f -l file -d 'File, folder or Git URL to read manifests from, or `-` for standard input; may be repeated [default: .]' -r -F
complete -c plumb -n "__fish_plumb_using_subcommand demo" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c plumb -n "__fish_plumb_using_subcommand demo" -l log-format -d 'How to write the log on standard error' -r -f -a "text\t'Lines for people'
json\t'One JSON object a line'"
complete -c plumb -n "__fish_plumb_using_subcommand demo" -l inventory -d 'Where the ownership record is: a path, or a URL such as `s3://BUCKET/KEY` [default: .plumb/inventory.db]' -r -f
complete -c plumb -n "__fish_plumb_using_subcommand demo" -l connection -d 'Override a connection\'s base URL, whose host is then allowed; may be repeated' -r
complete -c plumb -n "__fish_plumb_using_subcommand demo" -l allow-host -d 'Allow credentials to go to a further host; may be repeated' -r -f -a "(__fish_print_hostnames)"
complete -c plumb -n "__fish_plumb_using_subcommand demo" -l serve -d 'Keep the simulated APIs and the tour\'s folder until interrupted'
complete -c plumb -n "__fish_plumb_using_subcommand demo" -s v -l verbose -d 'Say more on standard error: -v for steps, -vv for calls, -vvv for everything'
complete -c plumb -n "__fish_plumb_using_subcommand demo" -s q -l quiet -d 'Say nothing on standard error but errors'
complete -c plumb -n "__fish_plumb_using_subcommand demo" -l sandbox -d 'Run against simulated APIs in this process'
complete -c plumb -n "__fish_plumb_using_subcommand demo" -l allow-plaintext-secrets -d 'Accept sensitive values that are written in manifests as `{value: …}`'
complete -c plumb -n "__fish_plumb_using_subcommand demo" -l allow-exec -d 'Run the commands that sensitive values name as `{valueFrom: {exec: …}}`'
complete -c plumb -n "__fish_plumb_using_subcommand demo" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c plumb -n "__fish_plumb_using_subcommand agent; and not __fish_seen_subcommand_from check status reconcile suspend resume help" -l config -d 'The agent\'s configuration' -r -F
complete -c plumb -n "__fish_plumb_using_subcommand agent; and not __fish_seen_subcommand_from check status reconcile suspend resume help" -l agent-url -d 'Where the agent listens that is commanded; from the configuration unless given' -r -f
complete -c plumb -n "__fish_plumb_using_subcommand agent; and not __fish_seen_subcommand_from check status reconcile suspend resume help" -l agent-token-file -d 'File with the token of the agent that is commanded; from the configuration unless given' -r -F
complete -c plumb -n "__fish_plumb_using_subcommand agent; and not __fish_seen_subcommand_from check status reconcile suspend resume help" -s o -l output -d 'This verb has one form of output' -r
complete -c plumb -n "__fish_plumb_using_subcommand agent; and not __fish_seen_subcommand_from check status reconcile suspend resume help" -s f -l file -d 'File, folder or Git URL to read manifests from, or `-` for standard input; may be repeated [default: .]' -r -F
complete -c plumb -n "__fish_plumb_using_subcommand agent; and not __fish_seen_subcommand_from check status reconcile suspend resume help" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c plumb -n "__fish_plumb_using_subcommand agent; and not __fish_seen_subcommand_from check status reconcile suspend resume help" -l log-format -d 'How to write the log on standard error' -r -f -a "text\t'Lines for people'
json\t'One JSON object a line'"
complete -c plumb -n "__fish_plumb_using_subcommand agent; and not __fish_seen_subcommand_from check status reconcile suspend resume help" -l inventory -d 'Where the ownership record is: a path, or a URL such as `s3://BUCKET/KEY` [default: .plumb/inventory.db]' -r -f
complete -c plumb -n "__fish_plumb_using_subcommand agent; and not __fish_seen_subcommand_from check status reconcile suspend resume help" -l connection -d 'Override a connection\'s base URL, whose host is then allowed; may be repeated' -r
complete -c plumb -n "__fish_plumb_using_subcommand agent; and not __fish_seen_subcommand_from check status reconcile suspend resume help" -l allow-host -d 'Allow credentials to go to a further host; may be repeated' -r -f -a "(__fish_print_hostnames)"
complete -c plumb -n "__fish_plumb_using_subcommand agent; and not __fish_seen_subcommand_from check status reconcile suspend resume help" -s v -l verbose -d 'Say more on standard error: -v for steps, -vv for calls, -vvv for everything'
complete -c plumb -n "__fish_plumb_using_subcommand agent; and not __fish_seen_subcommand_from check status reconcile suspend resume help" -s q -l quiet -d 'Say nothing on standard error but errors'
complete -c plumb -n "__fish_plumb_using_subcommand agent; and not __fish_seen_subcommand_from check status reconcile suspend resume help" -l sandbox -d 'Run against simulated APIs in this process'
complete -c plumb -n "__fish_plumb_using_subcommand agent; and not __fish_seen_subcommand_from check status reconcile suspend resume help" -l allow-plaintext-secrets -d 'Accept sensitive values that are written in manifests as `{value: …}`'
complete -c plumb -n "__fish_plumb_using_subcommand agent; and not __fish_seen_subcommand_from check status reconcile suspend resume help" -l allow-exec -d 'Run the commands that sensitive values name as `{valueFrom: {exec: …}}`'
complete -c plumb -n "__fish_plumb_using_subcommand agent; and not __fish_seen_subcommand_from check status reconcile suspend resume help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c plumb -n "__fish_plumb_using_subcommand agent; and not __fish_seen_subcommand_from check status reconcile suspend resume help" -f -a "check" -d 'Check a configuration'
complete -c plumb -n "__fish_plumb_using_subcommand agent; and not __fish_seen_subcommand_from check status reconcile suspend resume help" -f -a "status" -d 'Show how the stacks are'
complete -c plumb -n "__fish_plumb_using_subcommand agent; and not __fish_seen_subcommand_from check status reconcile suspend resume help" -f -a "reconcile" -d 'Reconcile a stack now'
complete -c plumb -n "__fish_plumb_using_subcommand agent; and not __fish_seen_subcommand_from check status reconcile suspend resume help" -f -a "suspend" -d 'Do nothing with a stack until it is resumed'
complete -c plumb -n "__fish_plumb_using_subcommand agent; and not __fish_seen_subcommand_from check status reconcile suspend resume help" -f -a "resume" -d 'Go on with a stack'
complete -c plumb -n "__fish_plumb_using_subcommand agent; and not __fish_seen_subcommand_from check status reconcile suspend resume help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from check" -l config -d 'The agent\'s configuration' -r -F
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from check" -l agent-url -d 'Where the agent listens that is commanded; from the configuration unless given' -r -f
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from check" -l agent-token-file -d 'File with the token of the agent that is commanded; from the configuration unless given' -r -F
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from check" -s f -l file -d 'File, folder or Git URL to read manifests from, or `-` for standard input; may be repeated [default: .]' -r -F
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from check" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from check" -l log-format -d 'How to write the log on standard error' -r -f -a "text\t'Lines for people'
json\t'One JSON object a line'"
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from check" -l inventory -d 'Where the ownership record is: a path, or a URL such as `s3://BUCKET/KEY` [default: .plumb/inventory.db]' -r -f
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from check" -l connection -d 'Override a connection\'s base URL, whose host is then allowed; may be repeated' -r
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from check" -l allow-host -d 'Allow credentials to go to a further host; may be repeated' -r -f -a "(__fish_print_hostnames)"
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from check" -s v -l verbose -d 'Say more on standard error: -v for steps, -vv for calls, -vvv for everything'
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from check" -s q -l quiet -d 'Say nothing on standard error but errors'
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from check" -l sandbox -d 'Run against simulated APIs in this process'
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from check" -l allow-plaintext-secrets -d 'Accept sensitive values that are written in manifests as `{value: …}`'
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from check" -l allow-exec -d 'Run the commands that sensitive values name as `{valueFrom: {exec: …}}`'
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from status" -l config -d 'The agent\'s configuration' -r -F
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from status" -l agent-url -d 'Where the agent listens that is commanded; from the configuration unless given' -r -f
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from status" -l agent-token-file -d 'File with the token of the agent that is commanded; from the configuration unless given' -r -F
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from status" -s f -l file -d 'File, folder or Git URL to read manifests from, or `-` for standard input; may be repeated [default: .]' -r -F
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from status" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from status" -l log-format -d 'How to write the log on standard error' -r -f -a "text\t'Lines for people'
json\t'One JSON object a line'"
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from status" -l inventory -d 'Where the ownership record is: a path, or a URL such as `s3://BUCKET/KEY` [default: .plumb/inventory.db]' -r -f
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from status" -l connection -d 'Override a connection\'s base URL, whose host is then allowed; may be repeated' -r
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from status" -l allow-host -d 'Allow credentials to go to a further host; may be repeated' -r -f -a "(__fish_print_hostnames)"
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from status" -s v -l verbose -d 'Say more on standard error: -v for steps, -vv for calls, -vvv for everything'
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from status" -s q -l quiet -d 'Say nothing on standard error but errors'
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from status" -l sandbox -d 'Run against simulated APIs in this process'
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from status" -l allow-plaintext-secrets -d 'Accept sensitive values that are written in manifests as `{value: …}`'
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from status" -l allow-exec -d 'Run the commands that sensitive values name as `{valueFrom: {exec: …}}`'
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from reconcile" -l config -d 'The agent\'s configuration' -r -F
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from reconcile" -l agent-url -d 'Where the agent listens that is commanded; from the configuration unless given' -r -f
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from reconcile" -l agent-token-file -d 'File with the token of the agent that is commanded; from the configuration unless given' -r -F
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from reconcile" -s f -l file -d 'File, folder or Git URL to read manifests from, or `-` for standard input; may be repeated [default: .]' -r -F
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from reconcile" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from reconcile" -l log-format -d 'How to write the log on standard error' -r -f -a "text\t'Lines for people'
json\t'One JSON object a line'"
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from reconcile" -l inventory -d 'Where the ownership record is: a path, or a URL such as `s3://BUCKET/KEY` [default: .plumb/inventory.db]' -r -f
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from reconcile" -l connection -d 'Override a connection\'s base URL, whose host is then allowed; may be repeated' -r
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from reconcile" -l allow-host -d 'Allow credentials to go to a further host; may be repeated' -r -f -a "(__fish_print_hostnames)"
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from reconcile" -s v -l verbose -d 'Say more on standard error: -v for steps, -vv for calls, -vvv for everything'
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from reconcile" -s q -l quiet -d 'Say nothing on standard error but errors'
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from reconcile" -l sandbox -d 'Run against simulated APIs in this process'
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from reconcile" -l allow-plaintext-secrets -d 'Accept sensitive values that are written in manifests as `{value: …}`'
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from reconcile" -l allow-exec -d 'Run the commands that sensitive values name as `{valueFrom: {exec: …}}`'
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from reconcile" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from suspend" -l config -d 'The agent\'s configuration' -r -F
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from suspend" -l agent-url -d 'Where the agent listens that is commanded; from the configuration unless given' -r -f
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from suspend" -l agent-token-file -d 'File with the token of the agent that is commanded; from the configuration unless given' -r -F
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from suspend" -s f -l file -d 'File, folder or Git URL to read manifests from, or `-` for standard input; may be repeated [default: .]' -r -F
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from suspend" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from suspend" -l log-format -d 'How to write the log on standard error' -r -f -a "text\t'Lines for people'
json\t'One JSON object a line'"
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from suspend" -l inventory -d 'Where the ownership record is: a path, or a URL such as `s3://BUCKET/KEY` [default: .plumb/inventory.db]' -r -f
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from suspend" -l connection -d 'Override a connection\'s base URL, whose host is then allowed; may be repeated' -r
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from suspend" -l allow-host -d 'Allow credentials to go to a further host; may be repeated' -r -f -a "(__fish_print_hostnames)"
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from suspend" -s v -l verbose -d 'Say more on standard error: -v for steps, -vv for calls, -vvv for everything'
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from suspend" -s q -l quiet -d 'Say nothing on standard error but errors'
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from suspend" -l sandbox -d 'Run against simulated APIs in this process'
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from suspend" -l allow-plaintext-secrets -d 'Accept sensitive values that are written in manifests as `{value: …}`'
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from suspend" -l allow-exec -d 'Run the commands that sensitive values name as `{valueFrom: {exec: …}}`'
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from suspend" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from resume" -l config -d 'The agent\'s configuration' -r -F
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from resume" -l agent-url -d 'Where the agent listens that is commanded; from the configuration unless given' -r -f
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from resume" -l agent-token-file -d 'File with the token of the agent that is commanded; from the configuration unless given' -r -F
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from resume" -s f -l file -d 'File, folder or Git URL to read manifests from, or `-` for standard input; may be repeated [default: .]' -r -F
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from resume" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from resume" -l log-format -d 'How to write the log on standard error' -r -f -a "text\t'Lines for people'
json\t'One JSON object a line'"
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from resume" -l inventory -d 'Where the ownership record is: a path, or a URL such as `s3://BUCKET/KEY` [default: .plumb/inventory.db]' -r -f
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from resume" -l connection -d 'Override a connection\'s base URL, whose host is then allowed; may be repeated' -r
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from resume" -l allow-host -d 'Allow credentials to go to a further host; may be repeated' -r -f -a "(__fish_print_hostnames)"
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from resume" -s v -l verbose -d 'Say more on standard error: -v for steps, -vv for calls, -vvv for everything'
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from resume" -s q -l quiet -d 'Say nothing on standard error but errors'
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from resume" -l sandbox -d 'Run against simulated APIs in this process'
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from resume" -l allow-plaintext-secrets -d 'Accept sensitive values that are written in manifests as `{value: …}`'
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from resume" -l allow-exec -d 'Run the commands that sensitive values name as `{valueFrom: {exec: …}}`'
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from resume" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from help" -f -a "check" -d 'Check a configuration'
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from help" -f -a "status" -d 'Show how the stacks are'
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from help" -f -a "reconcile" -d 'Reconcile a stack now'
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from help" -f -a "suspend" -d 'Do nothing with a stack until it is resumed'
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from help" -f -a "resume" -d 'Go on with a stack'
complete -c plumb -n "__fish_plumb_using_subcommand agent; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c plumb -n "__fish_plumb_using_subcommand completions" -s o -l output -d 'This verb has one form of output' -r
complete -c plumb -n "__fish_plumb_using_subcommand completions" -s f -l file -d 'File, folder or Git URL to read manifests from, or `-` for standard input; may be repeated [default: .]' -r -F
complete -c plumb -n "__fish_plumb_using_subcommand completions" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c plumb -n "__fish_plumb_using_subcommand completions" -l log-format -d 'How to write the log on standard error' -r -f -a "text\t'Lines for people'
json\t'One JSON object a line'"
complete -c plumb -n "__fish_plumb_using_subcommand completions" -l inventory -d 'Where the ownership record is: a path, or a URL such as `s3://BUCKET/KEY` [default: .plumb/inventory.db]' -r -f
complete -c plumb -n "__fish_plumb_using_subcommand completions" -l connection -d 'Override a connection\'s base URL, whose host is then allowed; may be repeated' -r
complete -c plumb -n "__fish_plumb_using_subcommand completions" -l allow-host -d 'Allow credentials to go to a further host; may be repeated' -r -f -a "(__fish_print_hostnames)"
complete -c plumb -n "__fish_plumb_using_subcommand completions" -s v -l verbose -d 'Say more on standard error: -v for steps, -vv for calls, -vvv for everything'
complete -c plumb -n "__fish_plumb_using_subcommand completions" -s q -l quiet -d 'Say nothing on standard error but errors'
complete -c plumb -n "__fish_plumb_using_subcommand completions" -l sandbox -d 'Run against simulated APIs in this process'
complete -c plumb -n "__fish_plumb_using_subcommand completions" -l allow-plaintext-secrets -d 'Accept sensitive values that are written in manifests as `{value: …}`'
complete -c plumb -n "__fish_plumb_using_subcommand completions" -l allow-exec -d 'Run the commands that sensitive values name as `{valueFrom: {exec: …}}`'
complete -c plumb -n "__fish_plumb_using_subcommand completions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c plumb -n "__fish_plumb_using_subcommand man" -l to -d 'Write the pages of every verb to this folder' -r -f -a "(__fish_complete_directories)"
complete -c plumb -n "__fish_plumb_using_subcommand man" -s o -l output -d 'This verb has one form of output' -r
complete -c plumb -n "__fish_plumb_using_subcommand man" -s f -l file -d 'File, folder or Git URL to read manifests from, or `-` for standard input; may be repeated [default: .]' -r -F
complete -c plumb -n "__fish_plumb_using_subcommand man" -l color -d 'When to use colour' -r -f -a "auto\t'On a terminal, unless `NO_COLOR` is set'
always\t'Always'
never\t'Never'"
complete -c plumb -n "__fish_plumb_using_subcommand man" -l log-format -d 'How to write the log on standard error' -r -f -a "text\t'Lines for people'
json\t'One JSON object a line'"
complete -c plumb -n "__fish_plumb_using_subcommand man" -l inventory -d 'Where the ownership record is: a path, or a URL such as `s3://BUCKET/KEY` [default: .plumb/inventory.db]' -r -f
complete -c plumb -n "__fish_plumb_using_subcommand man" -l connection -d 'Override a connection\'s base URL, whose host is then allowed; may be repeated' -r
complete -c plumb -n "__fish_plumb_using_subcommand man" -l allow-host -d 'Allow credentials to go to a further host; may be repeated' -r -f -a "(__fish_print_hostnames)"
complete -c plumb -n "__fish_plumb_using_subcommand man" -s v -l verbose -d 'Say more on standard error: -v for steps, -vv for calls, -vvv for everything'
complete -c plumb -n "__fish_plumb_using_subcommand man" -s q -l quiet -d 'Say nothing on standard error but errors'
complete -c plumb -n "__fish_plumb_using_subcommand man" -l sandbox -d 'Run against simulated APIs in this process'
complete -c plumb -n "__fish_plumb_using_subcommand man" -l allow-plaintext-secrets -d 'Accept sensitive values that are written in manifests as `{value: …}`'
complete -c plumb -n "__fish_plumb_using_subcommand man" -l allow-exec -d 'Run the commands that sensitive values name as `{valueFrom: {exec: …}}`'
complete -c plumb -n "__fish_plumb_using_subcommand man" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c plumb -n "__fish_plumb_using_subcommand help; and not __fish_seen_subcommand_from validate plan apply destroy drift export import unmanaged forget inventory history undo graph doctor explain schema apis operator crds sandbox demo agent completions man help" -f -a "validate" -d 'Check manifests offline: syntax, schema, references, cycles'
complete -c plumb -n "__fish_plumb_using_subcommand help; and not __fish_seen_subcommand_from validate plan apply destroy drift export import unmanaged forget inventory history undo graph doctor explain schema apis operator crds sandbox demo agent completions man help" -f -a "plan" -d 'Show what would change'
complete -c plumb -n "__fish_plumb_using_subcommand help; and not __fish_seen_subcommand_from validate plan apply destroy drift export import unmanaged forget inventory history undo graph doctor explain schema apis operator crds sandbox demo agent completions man help" -f -a "apply" -d 'Change what the plan says, after a question'
complete -c plumb -n "__fish_plumb_using_subcommand help; and not __fish_seen_subcommand_from validate plan apply destroy drift export import unmanaged forget inventory history undo graph doctor explain schema apis operator crds sandbox demo agent completions man help" -f -a "destroy" -d 'Delete what the stack owns, after a question'
complete -c plumb -n "__fish_plumb_using_subcommand help; and not __fish_seen_subcommand_from validate plan apply destroy drift export import unmanaged forget inventory history undo graph doctor explain schema apis operator crds sandbox demo agent completions man help" -f -a "drift" -d 'Report what changed behind plumb\'s back'
complete -c plumb -n "__fish_plumb_using_subcommand help; and not __fish_seen_subcommand_from validate plan apply destroy drift export import unmanaged forget inventory history undo graph doctor explain schema apis operator crds sandbox demo agent completions man help" -f -a "export" -d 'Write manifests of what is live in the accounts of the connections'
complete -c plumb -n "__fish_plumb_using_subcommand help; and not __fish_seen_subcommand_from validate plan apply destroy drift export import unmanaged forget inventory history undo graph doctor explain schema apis operator crds sandbox demo agent completions man help" -f -a "import" -d 'Record that manifests own live objects, without changing them'
complete -c plumb -n "__fish_plumb_using_subcommand help; and not __fish_seen_subcommand_from validate plan apply destroy drift export import unmanaged forget inventory history undo graph doctor explain schema apis operator crds sandbox demo agent completions man help" -f -a "unmanaged" -d 'List what is live in the kinds that the stack uses and in no manifest; nothing of it is touched'
complete -c plumb -n "__fish_plumb_using_subcommand help; and not __fish_seen_subcommand_from validate plan apply destroy drift export import unmanaged forget inventory history undo graph doctor explain schema apis operator crds sandbox demo agent completions man help" -f -a "forget" -d 'Take objects out of the ownership record; the live ones stay'
complete -c plumb -n "__fish_plumb_using_subcommand help; and not __fish_seen_subcommand_from validate plan apply destroy drift export import unmanaged forget inventory history undo graph doctor explain schema apis operator crds sandbox demo agent completions man help" -f -a "inventory" -d 'Look into the ownership record, and mend it'
complete -c plumb -n "__fish_plumb_using_subcommand help; and not __fish_seen_subcommand_from validate plan apply destroy drift export import unmanaged forget inventory history undo graph doctor explain schema apis operator crds sandbox demo agent completions man help" -f -a "history" -d 'Show what each run changed'
complete -c plumb -n "__fish_plumb_using_subcommand help; and not __fish_seen_subcommand_from validate plan apply destroy drift export import unmanaged forget inventory history undo graph doctor explain schema apis operator crds sandbox demo agent completions man help" -f -a "undo" -d 'Restore what a run updated or deleted, after a question'
complete -c plumb -n "__fish_plumb_using_subcommand help; and not __fish_seen_subcommand_from validate plan apply destroy drift export import unmanaged forget inventory history undo graph doctor explain schema apis operator crds sandbox demo agent completions man help" -f -a "graph" -d 'Print the dependency graph, coloured by planned action'
complete -c plumb -n "__fish_plumb_using_subcommand help; and not __fish_seen_subcommand_from validate plan apply destroy drift export import unmanaged forget inventory history undo graph doctor explain schema apis operator crds sandbox demo agent completions man help" -f -a "doctor" -d 'Check each connection: reachable, key valid, clock, quota left'
complete -c plumb -n "__fish_plumb_using_subcommand help; and not __fish_seen_subcommand_from validate plan apply destroy drift export import unmanaged forget inventory history undo graph doctor explain schema apis operator crds sandbox demo agent completions man help" -f -a "explain" -d 'Explain a kind or a field: what can be declared'
complete -c plumb -n "__fish_plumb_using_subcommand help; and not __fish_seen_subcommand_from validate plan apply destroy drift export import unmanaged forget inventory history undo graph doctor explain schema apis operator crds sandbox demo agent completions man help" -f -a "schema" -d 'Print the JSON Schema of manifests, for editors'
complete -c plumb -n "__fish_plumb_using_subcommand help; and not __fish_seen_subcommand_from validate plan apply destroy drift export import unmanaged forget inventory history undo graph doctor explain schema apis operator crds sandbox demo agent completions man help" -f -a "apis" -d 'List the described APIs and their kinds'
complete -c plumb -n "__fish_plumb_using_subcommand help; and not __fish_seen_subcommand_from validate plan apply destroy drift export import unmanaged forget inventory history undo graph doctor explain schema apis operator crds sandbox demo agent completions man help" -f -a "operator" -d 'Keep live objects true to custom resources of a Kubernetes cluster'
complete -c plumb -n "__fish_plumb_using_subcommand help; and not __fish_seen_subcommand_from validate plan apply destroy drift export import unmanaged forget inventory history undo graph doctor explain schema apis operator crds sandbox demo agent completions man help" -f -a "crds" -d 'Print the custom resource definitions of the described kinds'
complete -c plumb -n "__fish_plumb_using_subcommand help; and not __fish_seen_subcommand_from validate plan apply destroy drift export import unmanaged forget inventory history undo graph doctor explain schema apis operator crds sandbox demo agent completions man help" -f -a "sandbox" -d 'Serve simulated APIs on loopback'
complete -c plumb -n "__fish_plumb_using_subcommand help; and not __fish_seen_subcommand_from validate plan apply destroy drift export import unmanaged forget inventory history undo graph doctor explain schema apis operator crds sandbox demo agent completions man help" -f -a "demo" -d 'Take the guided tour: plan, apply and drift repair against simulated APIs'
complete -c plumb -n "__fish_plumb_using_subcommand help; and not __fish_seen_subcommand_from validate plan apply destroy drift export import unmanaged forget inventory history undo graph doctor explain schema apis operator crds sandbox demo agent completions man help" -f -a "agent" -d 'Watch Git and keep stacks true to it'
complete -c plumb -n "__fish_plumb_using_subcommand help; and not __fish_seen_subcommand_from validate plan apply destroy drift export import unmanaged forget inventory history undo graph doctor explain schema apis operator crds sandbox demo agent completions man help" -f -a "completions" -d 'Print the completion script of a shell'
complete -c plumb -n "__fish_plumb_using_subcommand help; and not __fish_seen_subcommand_from validate plan apply destroy drift export import unmanaged forget inventory history undo graph doctor explain schema apis operator crds sandbox demo agent completions man help" -f -a "man" -d 'Print a manual page, or write them all to a folder'
complete -c plumb -n "__fish_plumb_using_subcommand help; and not __fish_seen_subcommand_from validate plan apply destroy drift export import unmanaged forget inventory history undo graph doctor explain schema apis operator crds sandbox demo agent completions man help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c plumb -n "__fish_plumb_using_subcommand help; and __fish_seen_subcommand_from inventory" -f -a "list" -d 'List the owned objects'
complete -c plumb -n "__fish_plumb_using_subcommand help; and __fish_seen_subcommand_from inventory" -f -a "show" -d 'Show what is recorded of one object'
complete -c plumb -n "__fish_plumb_using_subcommand help; and __fish_seen_subcommand_from inventory" -f -a "rebuild" -d 'Find what the manifests declare by natural key, and record it as owned'
complete -c plumb -n "__fish_plumb_using_subcommand help; and __fish_seen_subcommand_from inventory" -f -a "unlock" -d 'Break the lease of a writer that died'
complete -c plumb -n "__fish_plumb_using_subcommand help; and __fish_seen_subcommand_from agent" -f -a "check" -d 'Check a configuration'
complete -c plumb -n "__fish_plumb_using_subcommand help; and __fish_seen_subcommand_from agent" -f -a "status" -d 'Show how the stacks are'
complete -c plumb -n "__fish_plumb_using_subcommand help; and __fish_seen_subcommand_from agent" -f -a "reconcile" -d 'Reconcile a stack now'
complete -c plumb -n "__fish_plumb_using_subcommand help; and __fish_seen_subcommand_from agent" -f -a "suspend" -d 'Do nothing with a stack until it is resumed'
complete -c plumb -n "__fish_plumb_using_subcommand help; and __fish_seen_subcommand_from agent" -f -a "resume" -d 'Go on with a stack'
