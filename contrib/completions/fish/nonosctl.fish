# fish completion for nonosctl, which knows its own commands.
function __nonosctl_complete
	set -l words (commandline -opc)
	set -l current (commandline -ct)
	for line in (command $words[1] complete -- $words[2..-1] "$current" 2>/dev/null)
		switch $line
			case ':file'
				__fish_complete_path $current
			case ':dir'
				__fish_complete_directories $current
			case '*'
				echo $line
		end
	end
end
complete -c nonosctl -f -a '(__nonosctl_complete)'
