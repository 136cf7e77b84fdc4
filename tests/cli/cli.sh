#!/bin/sh
# The command line of mcc and mcc-run: exit statuses, what is printed where, and
# which files appear.
#
#     cli.sh MCC MCC-RUN ROOT [CASE...]
#
# Each case is a function; its name says what must hold.  Cases run in an empty
# folder of their own.
#
# shellcheck disable=SC2010 # names of files are ours
set -u

MCC=$(realpath "$1")
RUN=$(realpath "$2")
ROOT=$(realpath "$3")
shift 3
MODEL=$ROOT/samples/digits/model.onnx
export LC_ALL=C
unset NO_COLOR

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 1' INT TERM
failures=0 cases=0

# ---- What cases are made of ----

problem() {
	printf '%s: %s\n' "$case" "$*"
	[ ! -s "$scratch/err" ] || sed 's/^/    /' "$scratch/err" | head -n 20
	bad=1
}

# mcc STATUS ARGUMENT...: runs it, output in $scratch/out and $scratch/err.
expect_status() {
	wanted=$1
	shift
	"$@" >"$scratch/out" 2>"$scratch/err" </dev/null
	status=$?
	[ "$status" = "$wanted" ] || problem "exit status $status instead of $wanted: $*"
}

mcc() {
	wanted=$1
	shift
	expect_status "$wanted" "$MCC" "$@"
}

mcc_run() {
	wanted=$1
	shift
	expect_status "$wanted" "$RUN" "$@"
}

says() {
	grep -qF -e "$1" "$scratch/err" || problem "standard error lacks '$1'"
}

prints() {
	grep -qF -e "$1" "$scratch/out" || problem "standard output lacks '$1'"
}

silent() {
	[ ! -s "$scratch/out" ] || problem "something was printed to standard output"
	[ ! -s "$scratch/err" ] || problem "something was printed to standard error"
}

# The folder holds exactly these files.
files() {
	found=$(find . -mindepth 1 | sort | sed 's,^\./,,' | tr '\n' ' ')
	[ "$found" = "${*:+$* }" ] || problem "files are '$found' instead of '$*'"
}

has_line() {
	grep -qxF -e "$2" "$1" || problem "$1 lacks the line '$2'"
}

wait_for_temporary() {
	tries=0
	until ls | grep -q 'model\.c\.tmp' || [ $tries = 100 ]; do
		sleep 0.1
		tries=$((tries + 1))
	done
	[ $tries -lt 100 ] || problem "no temporary file appeared"
}

# A small model in text form, in the file $1.
graph() {
	cat >"$1" <<'END'
graph @small(%x: f32[2,3]) {
  %y: f32[2,3] = relu(%x)
  return %y
}
END
}

# A model that adds up what it gets and remembers the input before, in the file $1, and
# three calls of it in the file $2.  The states have different alignments.
stateful() {
	cat >"$1" <<'END'
graph @running(%x: f32[2], %odd: i8[3], %sum: f64[2], %last: f32[2]) {
  %wide = cast(%x) {to=f64}
  %next = add(%sum, %wide)
  %narrow = cast(%next) {to=f32}
  %y = mul(%narrow, %last) as "product"
  %one: i8[3] = const [1, 1, 1]
  %more = add(%odd, %one)
  %reset_odd: i8[3] = const [5, 6, 7]
  %reset_sum: f64[2] = const [0.0, 0.0]
  %reset_last: f32[2] = const [1.0, 2.0]
  return %y, %more, %next, %x
  states %reset_odd, %reset_sum, %reset_last
}
END
	npy_header "'<f4'" '(3, 2)' >"$2"
	# 1, 2; 10, 20; 5, 5
	printf '\000\000\200\077\000\000\000\100\000\000\040\101\000\000\240\101\000\000\240\100\000\000\240\100' >>"$2"
}

# ---- Exit statuses and messages ----

help_lists_every_option_once() {
	mcc 0 --help
	[ ! -s "$scratch/err" ] || problem "standard error is not empty"
	prints "usage: mcc"
	[ "$(grep -c '^  -MD ' "$scratch/out")" = 1 ] || problem "-MD is not listed once"
	awk 'length > 80 { exit 1 }' "$scratch/out" || problem "lines are wider than 80"
	mcc_run 0 --help
	prints "--engine="
}

the_version_is_printed() {
	mcc 0 --version
	prints "mcc "
	mcc_run 0 --version
	prints "mcc-run "
}

supported_operators_are_listed() {
	mcc 0 --print-supported-ops
	prints " Conv 1"
	prints " Softmax 1 and later"
	prints " GroupConvolution 1"
}

help_to_a_full_device_is_an_error() {
	[ -w /dev/full ] || return
	"$MCC" --help >/dev/full 2>"$scratch/err"
	[ $? = 1 ] || problem "the failed write went unnoticed"
}

v_without_a_model_is_the_version() {
	mcc 0 -v
	says "mcc "
	mcc_run 0 -v
	says "mcc-run "
}

no_model_is_a_usage_error() {
	mcc 2
	says "mcc: error: no model is given [E0101]"
	says "1 error generated."
	mcc_run 2
}

unknown_options_are_usage_errors_with_a_guess() {
	mcc 2 --frobnicate "$MODEL"
	says "unknown option '--frobnicate'"
	mcc 2 -fprefx=x "$MODEL"
	says "did you mean '-fprefix='?"
	mcc 2 -verify-eech "$MODEL"
	says "did you mean '-verify-each'?"
	mcc 2 -i x.npy "$MODEL"
	files
}

every_usage_error_is_reported_at_once() {
	mcc 2 -Ofast -fdiagnostics-format=xml --frobnicate
	says "'-Ofast': the value must be '0', '1', '2', '3', 's' or 'z'"
	says "'-fdiagnostics-format=xml'"
	says "3 errors generated."
}

values_that_are_missing_are_usage_errors() {
	mcc 2 "$MODEL" -o
	says "'-o' needs a value: -o FILE"
	mcc 2 "$MODEL" -target
	mcc 2 "$MODEL" -D batch
	mcc 2 "$MODEL" -finput-shape=x:1xx2
	mcc 2 "$MODEL" -finput-value=x
	mcc 2 "$MODEL" -finput-value=x:1,
	mcc 2 "$MODEL" -finput-value=x:inf
	mcc 2 "$MODEL" -fmax-memory=lots
	mcc 2 "$MODEL" -Wno-such
	mcc 2 "$MODEL" -x tflight
	mcc 2 "$MODEL" -passes=nonsense
	says "nonsense"
	files
}

the_action_decides_what_is_written() {
	"$MCC" --version | grep -q '^LLVM' || return
	mcc 0 -S "$MODEL"
	mcc 0 -c "$MODEL"
	mcc 0 -S -emit-llvm "$MODEL"
	mcc 0 -c -emit-llvm "$MODEL"
	silent
	files model.bc model.h model.ll model.o model.s
}

the_suffix_decides_what_is_written() {
	"$MCC" --version | grep -q '^LLVM' || return
	for suffix in c s ll bc o; do
		mcc 0 "$MODEL" -o "x.$suffix"
	done
	silent
	files x.bc x.c x.h x.ll x.o x.s
}

what_mcc_cannot_write_is_a_usage_error() {
	mcc 2 "$MODEL" -o x.so
	says "mcc does not link"
	mcc 2 "$MODEL" -o x.h
	says "'x.h' is the name of a header"
	mcc 2 "$MODEL" -o ''
	says "the output's name is empty"
	files
}

an_unknown_target_is_a_usage_error() {
	mcc 2 --target=z80 "$MODEL"
	says "unknown target 'z80'; there are generic, "
	mcc 0 --target=generic -fsyntax-only "$MODEL"
	mcc 0 -target generic -fsyntax-only "$MODEL"
	mcc 0 -target=generic -fsyntax-only "$MODEL"
	silent
}

a_missing_model_is_an_error() {
	mcc 1 nothing.onnx
	says "nothing.onnx: error: cannot open: No such file or directory [E0102]"
	mcc 1 .
	says "Is a directory"
	files
}

a_broken_model_is_an_error_and_leaves_nothing() {
	head -c 3000 "$MODEL" >cut.onnx
	mcc 1 cut.onnx -o model.c -MD -save-temps --report=report
	says "cut.onnx: "
	says "error"
	files cut.onnx
	: >empty.onnx
	mcc 1 empty.onnx
	files cut.onnx empty.onnx
}

an_old_output_survives_an_error() {
	mkdir folder
	echo old >folder/model.c
	head -c 3000 "$MODEL" >cut.onnx
	mcc 1 cut.onnx -o folder/model.c
	has_line folder/model.c old
	files cut.onnx folder folder/model.c
}

an_output_that_cannot_be_written_is_an_error() {
	mcc 1 "$MODEL" -o nowhere/model.c
	says "nowhere/model.c: error: cannot write: No such file or directory [E0102]"
	mkdir model.h
	mcc 1 "$MODEL" -o model.c
	files model.h
	if [ -w /dev/full ]; then
		mcc 1 "$MODEL" -o /dev/full
		says "No space left on device"
	fi
}

the_model_is_never_overwritten() {
	cp "$MODEL" model.onnx
	ln -s model.onnx link.c
	mcc 2 model.onnx -o ./link.c
	says "would overwrite the model"
	cmp -s "$MODEL" model.onnx || problem "the model was changed"
}

a_memory_limit_is_an_error_that_names_it() {
	mcc 1 -fmax-memory=100K "$MODEL"
	says "out of memory"
	says "-fmax-memory=102400 is the limit that is set"
	files
	mcc 0 -fmax-memory=1G -fsyntax-only "$MODEL"
	mcc 0 -fmax-memory=0 -fsyntax-only "$MODEL"
}

every_memory_limit_is_survived() {
	for limit in 1 1K 5K 10K 20K 40K 80K 100K 150K 200K 300K 400K 600K 1M 2M; do
		"$MCC" -fmax-memory=$limit "$MODEL" >"$scratch/out" 2>"$scratch/err"
		status=$?
		case $status in
		0) files model.c model.h ;;
		1) files && says "out of memory" ;;
		*) problem "exit status $status with -fmax-memory=$limit" ;;
		esac
		rm -f model.c model.h
	done
	[ "$status" = 0 ] || problem "2M are not enough"
}

a_crash_says_what_to_report_and_leaves_nothing() {
	# Sanitizers have reports of their own.
	! grep -q __asan_init "$MCC" || return
	mkfifo pipe
	for signal in ABRT SEGV; do
		"$MCC" "$MODEL" -o model.c --report=pipe 2>"$scratch/err" &
		child=$!
		wait_for_temporary
		kill -$signal "$child"
		wait "$child"
		status=$?
		[ "$status" = 70 ] || problem "the status is $status instead of 70"
		says "mcc: internal error: "
		says "Please report it with the model and this command:"
		says "$MODEL -o model.c --report=pipe"
		files pipe
	done
}

# ---- Output files ----

c_and_header_appear_in_the_current_folder() {
	mcc 0 "$MODEL"
	silent
	files model.c model.h
	grep -qF 'model_run(' model.h || problem "no model_run in the header"
	grep -qF '#include "model.h"' model.c || problem "the code does not include its header"
}

the_output_gives_the_names() {
	mkdir out
	mcc 0 "$MODEL" -o out/9-digits.v2.c
	files out out/9-digits.v2.c out/9-digits.v2.h
	grep -qF 'm9_digits_v2_run(' out/9-digits.v2.h || problem "the prefix is wrong"
	grep -qF '#include "9-digits.v2.h"' out/9-digits.v2.c || problem "the include is wrong"
	mcc 0 "$MODEL" -oout/x.c -fprefix=Net
	grep -qF 'Net_run(' out/x.h || problem "-fprefix= was not used"
	mcc 2 "$MODEL" -fprefix=3x
	mcc 2 "$MODEL" -fprefix=_x
	mcc 2 "$MODEL" -fprefix='x y'
}

the_same_bytes_every_time_and_everywhere() {
	mkdir a b
	mcc 0 "$MODEL" -o a/digits.c
	cp "$MODEL" b/model.onnx
	cd b || return
	mcc 0 ./model.onnx -o digits.c
	cd ..
	cmp a/digits.c b/digits.c || problem "the code differs"
	cmp a/digits.h b/digits.h || problem "the header differs"
	! grep -qF "$PWD" a/digits.c a/digits.h || problem "a path is in the output"
}

standard_output_gets_code_with_the_header_inside() {
	mcc 0 "$MODEL" -o -
	cp "$scratch/out" all.c
	grep -qF 'model_run(' all.c || problem "no code"
	! grep -qF '#include "' all.c || problem "the header is not inside"
	${CC:-cc} -std=c99 -c all.c -o all.o || problem "it does not compile"
	files all.c all.o
}

a_model_from_standard_input_goes_to_standard_output() {
	"$MCC" - <"$MODEL" >"$scratch/out" 2>"$scratch/err" || problem "failed"
	prints 'model_run('
	"$MCC" - -o x.c <"$MODEL" >"$scratch/out" 2>"$scratch/err" || problem "failed with -o"
	silent
	files x.c x.h
}

special_files_are_written_and_stay() {
	mcc 0 "$MODEL" -o /dev/null
	silent
	[ -c /dev/null ] || problem "/dev/null was replaced"
	[ ! -e /dev/null.h ] || problem "a header was put into /dev"
}

several_models_are_compiled_one_by_one() {
	cp "$MODEL" a.onnx
	cp "$MODEL" b.onnx
	echo nonsense >c.onnx
	mcc 1 a.onnx c.onnx b.onnx
	says "c.onnx: "
	files a.c a.h a.onnx b.c b.h b.onnx c.onnx
	mcc 2 a.onnx b.onnx -o x.c
	says "'-o' names one output, but there are 2 models"
}

the_format_can_be_forced() {
	graph model
	mcc 0 -E model
	prints 'graph @small'
	mcc 1 -x onnx model
	mcc 0 -x onnx "$MODEL" -x graph model -fsyntax-only
	mcc 0 -x onnx "$MODEL" -x none model -fsyntax-only
}

a_double_dash_ends_the_options() {
	cp "$MODEL" ./-v.onnx
	mcc 0 -- -v.onnx
	silent
	files -v.c -v.h -v.onnx
}

an_interrupt_leaves_no_temporary_file() {
	mkfifo pipe
	# The report is written first, and nobody reads it.
	"$MCC" "$MODEL" -o model.c --report=pipe 2>"$scratch/err" &
	child=$!
	wait_for_temporary
	kill -TERM "$child"
	wait "$child" 2>/dev/null
	status=$?
	[ "$status" = 143 ] || problem "the status is $status instead of 143"
	files pipe
}

a_control_c_ends_an_object_without_a_trace() {
	has_llvm || return
	# A shell lets what runs beside it ignore the signal.
	env --default-signal=INT true 2>/dev/null || return
	mkfifo pipe
	env --default-signal=INT "$MCC" "$MODEL" -c -o model.c --report=pipe 2>"$scratch/err" &
	child=$!
	wait_for_temporary
	kill -INT "$child"
	wait "$child" 2>/dev/null
	status=$?
	[ "$status" = 130 ] || problem "the status is $status instead of 130"
	files pipe
}

a_full_disk_is_an_error_and_leaves_nothing() {
	mkdir disk
	mount -t tmpfs -o size=16k none disk 2>/dev/null || return
	for output in model.c model.o model.s; do
		[ $output = model.c ] || has_llvm || continue
		mcc 1 "$MODEL" -o disk/$output
		says "disk/$output: error: cannot write: No space left on device [E0102]"
		[ -z "$(ls disk)" ] || problem "$(ls disk) is left"
	done
	umount disk
}

# ---- Response files ----

response_files_hold_options() {
	mkdir 'two words'
	printf '%s\n' "-o 'two words/x.c'" '"-fprefix=a"bc' '@rest' >options
	printf '"%s"' "$MODEL" >rest
	mcc 0 @options
	silent
	grep -qF 'abc_run(' 'two words/x.h' || problem "the options were not read"
}

response_files_that_name_themselves_are_usage_errors() {
	echo '@loop' >loop
	mcc 2 @loop
	says "nested more than 10 deep"
	mcc 1 @missing
	says "@missing: error: cannot open"
	printf 'a\0b' >binary
	mcc 2 @binary
}

# ---- Dependencies ----

a_make_rule_names_what_was_read() {
	cp "$MODEL" 'my $model#1.onnx'
	mcc 0 'my $model#1.onnx' -o out.c -MD
	has_line out.d 'out.c: my\ $$model\#1.onnx'
	mcc 0 "$MODEL" -o out.c -MD -MF rule -MT '$(OUT)' -MT second -MP
	has_line rule "\$(OUT) second: $MODEL"
	mcc 0 "$MODEL" -o out.c -MMD -MF rule -MQ '$(OUT) a'
	has_line rule "\$\$(OUT)\\ a: $MODEL"
	files 'my $model#1.onnx' out.c out.d out.h rule
}

data_beside_the_model_are_dependencies() {
	mkdir folder
	cp "$ROOT/tests/fuzz/corpus/onnx/external" folder/model.onnx
	printf 'skipabcdefghijkl' >folder/w.bin
	mcc 0 folder/model.onnx -MD -MP
	has_line model.d 'model.c: folder/model.onnx folder/w.bin'
	has_line model.d 'folder/w.bin:'
	cd folder || return
	mcc 0 model.onnx -MD
	has_line model.d 'model.c: model.onnx w.bin'
}

make_reads_the_rule() {
	command -v make >/dev/null || return
	cp "$MODEL" 'a b.onnx'
	mcc 0 'a b.onnx' -o out.c -MD
	printf 'out.c:\n\techo rebuilt\ninclude out.d\n' >Makefile
	make -s >"$scratch/out"
	[ ! -s "$scratch/out" ] || problem "make rebuilds what is up to date"
	touch -d '1 hour ago' out.c
	make -s >"$scratch/out"
	prints rebuilt
}

dependency_options_need_md() {
	mcc 2 "$MODEL" -MF x
	says "'-MF' needs '-MD'"
	mcc 2 "$MODEL" -MP
	mcc 2 "$MODEL" -MD -o -
	says "'-MD' needs '-MF FILE'"
}

# ---- Looking inside ----

the_graph_is_printed_and_read_back() {
	mcc 0 -E "$MODEL" -o one.mcc
	mcc 0 -E -passes= one.mcc -o two.mcc
	cmp one.mcc two.mcc || problem "the text changes when it is read"
	mcc 0 -E "$MODEL"
	cmp one.mcc "$scratch/out" || problem "standard output has another text"
	files one.mcc two.mcc
}

syntax_only_writes_nothing() {
	mcc 0 -fsyntax-only "$MODEL"
	silent
	files
	mcc 0 -fsyntax-only "$MODEL" -o x.c
	says "warning: '-o' has no effect with '-fsyntax-only' [W0603, -Wunused-option]"
	mcc 0 -Wno-unused-option -fsyntax-only "$MODEL" -o x.c
	silent
	mcc 0 -w -fsyntax-only "$MODEL" -o x.c
	silent
	mcc 2 -Werror -fsyntax-only "$MODEL" -o x.c
	says "error: '-o' has no effect"
	mcc 2 -Werror=unused-option -fsyntax-only "$MODEL" -o x.c
	mcc 2 -E -fsyntax-only "$MODEL"
	files
}

the_command_is_shown_and_does_the_same() {
	mcc 0 -### "$MODEL" -O3 -o x.c -fprefix=p -D 'a b=1'
	files
	says "mcc -O3 --target=generic -D 'a b=1' -fprefix=p "
	says "$MODEL -o x.c"
	mcc 0 "$MODEL" -o x.c
	cp x.c first.c
	mcc 0 -v "$MODEL" -o x.c
	says "mcc version "
	printf 'mcc() { %s "$@"; }\n' "$MCC" >again
	grep '^mcc -O' "$scratch/err" >>again
	sh again || problem "the command that -v shows fails"
	sed 's/ -fprefix=x//' x.c | cmp -s - first.c || problem "the command does something else"
}

every_option_for_code_is_in_the_command() {
	for option in -finput-shape=x:1x4 -finput-value=x:1.0,2.0 -fhosted -fio=arena \
		-fclobber-input -mregion=fast:100 --max-ram=100 --max-flash=200 --max-cycles=300 \
		-fsingle-rounding -ntree-limit=5 -ftrees=walk -fprune-trees=0.5 \
		-fselect-trees=0.5 -fquantize-trees=8 -fbatch -fno-batch -fprune=2:4 \
		-fkernel=2 -passes=dce -fprefix=p -mthumb -mattr=+dsp; do
		mcc 0 -### -mcpu=cortex-m4 -fcalib=x.npy "$option" "$MODEL"
		says " $option"
	done
}

temporary_files_are_kept_on_request() {
	mkdir out
	mcc 0 "$MODEL" -o out/x.c -save-temps
	files out out/x.c out/x.h out/x.in.mcc out/x.loops out/x.opt.mcc
	mcc 0 "$MODEL" -o out/x.c -save-temps=cwd
	files out out/x.c out/x.h out/x.in.mcc out/x.loops out/x.opt.mcc x.in.mcc x.loops x.opt.mcc
	mcc 0 -fsyntax-only x.opt.mcc
	mcc 2 "$MODEL" -save-temps=elsewhere
}

reports_are_printed_or_written() {
	mcc 0 "$MODEL" --report
	prints "memory plan"
	files model.c model.h
	mcc 0 "$MODEL" --report=text
	silent
	grep -q "memory plan" text || problem "no report in the file"
	mcc 2 "$MODEL" --report -o -
	mcc 0 "$MODEL" -ftime-report
	says "peak memory"
}

passes_are_chosen_and_watched() {
	mcc 0 -E "$MODEL" -print-after-all -verify-each -pass-stats
	[ -s "$scratch/err" ] || problem "nothing was printed to standard error"
	mcc 2 "$MODEL" -print-after=nonsense
	says "nonsense"
}

# ---- Diagnostics ----

diagnostics_can_be_json() {
	mcc 1 -fdiagnostics-format=json missing.onnx
	says '{"kind":"error","code":"E0102","title":"file cannot be read or written","file":"missing.onnx","message":"cannot open: No such file or directory"}'
	! grep -q generated "$scratch/err" || problem "there is a closing line"
}

diagnostics_are_coloured_on_request() {
	mcc 1 -fdiagnostics-color=always missing.onnx
	grep -q "$(printf '\033')" "$scratch/err" || problem "no colours"
	mcc 1 -fdiagnostics-color=never missing.onnx
	! grep -q "$(printf '\033')" "$scratch/err" || problem "colours"
	mcc 1 missing.onnx
	! grep -q "$(printf '\033')" "$scratch/err" || problem "colours in a file"
}

text_of_the_user_cannot_steer_the_terminal() {
	mcc 1 "$(printf 'a\033[31mb.onnx')"
	says 'a\x1b[31mb.onnx: error'
}

errors_in_text_have_line_and_caret() {
	graph model.mcc
	sed -i 's/relu/rely/' model.mcc
	mcc 1 model.mcc
	says "model.mcc:2:"
	says "^"
}

# ---- mcc-run ----

samples_give_the_recorded_outputs() {
	for engine in interp c; do
		for sample in digits digits_mlp; do
			folder=$ROOT/samples/$sample
			mcc_run 0 --engine=$engine "$folder/model.onnx" -i "$folder/test_x.npy" \
				--compare="$folder/expected.npy" --rtol=1e-4 --atol=1e-5
			prints "probabilities: largest difference"
			files
		done
	done
}

outputs_are_printed_or_written() {
	graph model.mcc
	# float32 [2,3]: 1, -1, 2, -2, 3, -3
	npy_header "'<f4'" '(2, 3)' >x.npy
	printf '\0\0\200\077\0\0\200\277\0\0\0\100\0\0\0\300\0\0\100\100\0\0\100\300' >>x.npy
	mcc_run 0 model.mcc -i x.npy
	prints 'y: f32[2,3]'
	prints '  1.0 0.0 2.0'
	prints '  0.0 3.0 0.0'
	mcc_run 0 model.mcc -i x=x.npy -o y=y.npy
	silent
	mcc_run 0 model.mcc -i x.npy --compare=y.npy
	prints 'y: largest difference 0, relative 0'
	mcc_run 0 --engine=c model.mcc -i x.npy -o z.npy
	cmp y.npy z.npy || problem "the engines differ"
	mcc_run 1 model.mcc -i x.npy --compare=x.npy
	says "'y' differs in 3 of 6 elements, first at [0,1]"
}

# An empty .npy file of 80 bytes: the header only.
npy_header() {
	printf '\223NUMPY\001\0\106\0'
	printf "%-69s\n" "{'descr': $1, 'fortran_order': False, 'shape': $2, }"
}

arrays_that_do_not_fit_are_errors() {
	graph model.mcc
	mcc_run 1 model.mcc
	says "the input 'x' (f32[2,3]) has no file; add -i"
	npy_header "'<f4'" '(3, 0)' >x.npy
	mcc_run 1 model.mcc -i x.npy
	says "x.npy: error: this is f32[3,0], but 'x' is f32[2,3]"
	npy_header "'<i4'" '(0, 2, 3)' >x.npy
	mcc_run 1 model.mcc -i x.npy
	says "this is i32[0,2,3]"
	mcc_run 1 model.mcc -i z=x.npy
	says "the model has no such name, but 'x'"
	mcc_run 1 model.mcc -i x.npy -i x.npy
	says "the model has only 1 of these"
	echo nonsense >x.npy
	mcc_run 1 model.mcc -i x.npy
	says "this is not a .npy file"
	mcc_run 1 model.mcc -i missing.npy
	says "missing.npy: error: cannot open"
	files model.mcc x.npy
}

no_calls_give_empty_outputs() {
	graph model.mcc
	npy_header "'<f4'" '(0, 2, 3)' >x.npy
	for engine in interp c; do
		mcc_run 0 --engine=$engine model.mcc -i x.npy -o y.npy
		silent
		grep -q "'shape': (0, 2, 3)" y.npy || problem "the output's shape is wrong"
	done
}

what_stays_in_floats_is_reported() {
	cat >model.mcc <<-'END'
		graph @m(%x: i8[1,4], %s: f32[1], %f: f32[1,4]) {
		  %xs: f32[1] = const [0.5]
		  %ys: f32[1] = const [0.25]
		  %zs: f32[1] = const [0.125]
		  %1 = dequantize(%x, %xs)
		  %2 = mod(%1, %1) {fmod=true}
		  %a = quantize(%2, %ys) {to=i8}
		  %3 = mul(%1, %1)
		  %b = quantize(%3, %ys) {to=i8}
		  %4 = add(%3, %1)
		  %c = quantize(%4, %zs) {to=i8}
		  %5 = dequantize(%x, %s)
		  %6 = relu(%5)
		  %d = quantize(%6, %ys) {to=i8}
		  %7 = add(%1, %f)
		  %e = quantize(%7, %ys) {to=i8}
		  %8 = mul(%1, %1)
		  %g = quantize(%8, %ys) {to=i8}
		  %10 = sin(%1)
		  %h = quantize(%10, %ys) {to=i8}
		  return %a, %b, %c, %d, %e, %g, %h, %10
		}
	END
	mcc 0 model.mcc -Rpass-missed=fuse-qdq -E
	says "model.mcc:6:8: remark: fuse-qdq: 'mod' stays in floats: not with these attributes and types"
	says "'mul' stays in floats: 'add' takes its result in floats"
	says "'add' stays in floats: its input '3' stays in floats"
	says "'relu' stays in floats: what dequantises its input '5' computes its scale"
	says "'add' stays in floats: its input 'f' was never quantised"
	says "'sin' stays in floats: its result is an output in floats too"
	[ "$(grep -c remark "$scratch/err")" = 6 ] || problem "not six remarks"
	mcc 2 model.mcc -Rpass-missed=dce -o m.c
	says "only 'fuse-qdq' can tell"
}

constants_within_constants_work_with_all_engines() {
	cat >model.mcc <<-'END'
		graph @m(%x: f32[2,4]) {
		  %a: f32[2,4] = const [1, 2, 3, 4, 5, 6, 7, 8]
		  %b: f32[4] = const [4, 5, 6, 7]
		  %1 = mul(%x, %a)
		  %2 = add(%1, %b)
		  return %2
		}
	END
	npy_header "'<f4'" '(2, 4)' >x.npy
	head -c 32 /dev/zero >>x.npy
	mcc 0 model.mcc -o m.c
	grep -q 'm_a + 3,' m.c || problem "the smaller constant is not in the larger one"
	for engine in interp c jit; do
		[ $engine != jit ] || has_llvm || continue
		mcc_run 0 --engine=$engine model.mcc -i x.npy -o $engine.npy
		cmp -s $engine.npy interp.npy || problem "$engine gives something else"
	done
}

a_compiler_that_fails_is_an_error() {
	graph model.mcc
	npy_header "'<f4'" '(0, 2, 3)' >x.npy
	export CC=false
	mcc_run 1 --engine=c model.mcc -i x.npy
	says "[E0105]"
	CC=/no/such/compiler
	mcc_run 1 --engine=c model.mcc -i x.npy
	says "[E0105]"
	unset CC
	mcc_run 2 --engine=abacus model.mcc -i x.npy
	TMPDIR=$PWD/nowhere mcc_run 1 --engine=c model.mcc -i x.npy
	says "temporary folder"
	files model.mcc x.npy
}

# ---- Machine code ----

# Cases that need LLVM.
has_llvm() {
	"$MCC" --version | grep -q '^LLVM '
}

the_suffix_or_an_option_chooses_the_output() {
	has_llvm || return
	mcc 0 "$MODEL" -c
	mcc 0 "$MODEL" -S
	mcc 0 "$MODEL" -S -emit-llvm
	mcc 0 "$MODEL" -c -emit-llvm
	silent
	files model.bc model.h model.ll model.o model.s
	grep -q '^define .*@model_run(' model.ll || problem "model.ll has no model_run"
	grep -q '^model_run:' model.s || problem "model.s has no model_run"
	for suffix in o s ll bc; do
		mcc 0 "$MODEL" -o "by_suffix.$suffix" -fprefix=model
		cmp -s "model.$suffix" "by_suffix.$suffix" || problem ".$suffix differs from its option"
	done
	mcc 0 "$MODEL" -S -o -
	prints "model_run:"
	mcc 2 "$MODEL" -o model.a
	says "mcc does not link"
}

objects_need_nothing_from_outside() {
	has_llvm || return
	command -v nm >/dev/null || return
	mcc 0 "$MODEL" -o model.o
	[ -z "$(nm -u model.o)" ] || problem "model.o needs $(nm -u model.o)"
	[ "$(nm -g --defined-only model.o | wc -l)" = 1 ] || problem "model.o exports more than one name"
}

two_runs_of_the_code_generator_give_the_same_bytes() {
	has_llvm || return
	mcc 0 "$MODEL" -c -g -o one.o -fprefix=m
	mcc 0 "$MODEL" -c -g -o two.o -fprefix=m
	cmp -s one.o two.o || problem "the objects differ"
	# In another folder, with another path, locale and time zone.
	mkdir other && cp "$MODEL" other/model.onnx
	cd other || return
	LC_ALL=de_DE.UTF-8 TZ=Asia/Tokyo TMPDIR=$PWD mcc 0 ./model.onnx -c -g -o one.o -fprefix=m
	cmp -s one.o ../one.o || problem "the object depends on the place"
}

the_header_of_an_object_is_that_of_the_code() {
	has_llvm || return
	mcc 0 "$MODEL" -o a.c -fprefix=m
	mcc 0 "$MODEL" -o b.o -fprefix=m
	# But for its own name and the command.
	sed 's/a\.[ch]/X/g' a.h >a.txt
	sed 's/b\.[oh]/X/g' b.h >b.txt
	cmp -s a.txt b.txt || problem "the headers differ"
}

save_temps_keeps_what_lies_before_the_object() {
	has_llvm || return
	mcc 0 "$MODEL" -c -save-temps
	files model.bc model.h model.in.mcc model.ll model.loops model.o model.opt.mcc model.s
	# However the path was typed.
	mkdir folder && cp "$MODEL" folder/model.onnx
	cd folder || return
	mcc 0 model.onnx -c -save-temps
	for f in model.bc model.in.mcc model.ll model.loops model.o model.opt.mcc model.s; do
		cmp -s $f ../$f || problem "$f depends on how the path was typed"
	done
}

debug_information_maps_code_to_nodes() {
	has_llvm || return
	command -v readelf >/dev/null || return
	mcc 0 "$MODEL" -c -g -o model.o
	readelf --debug-dump=decodedline model.o 2>/dev/null |
		awk '/^model\.onnx/ && $2 > 0 { n[$2] = 1 } END { exit !(1 in n && 9 in n) }' ||
		problem "no lines for the first and the last node"
	readelf --debug-dump=info model.o 2>/dev/null | grep -q 'DW_AT_name.*: conv1' ||
		problem "no function is called conv1"
}

a_debugger_stops_at_layers() {
	has_llvm || return
	command -v gdb >/dev/null && command -v cc >/dev/null || return
	mcc 0 "$MODEL" -c -g -o m.o
	cat >main.c <<'END'
#include "m.h"
static union { double align; char bytes[M_ARENA_SIZE]; } arena;
static float in[M_IMAGE_SIZE], out[M_PROBABILITIES_SIZE];
int main(void) { return m_run(in, out, arena.bytes); }
END
	cc main.c m.o -o program || problem "cannot link"
	# By the node's line, and by the layer's name.
	gdb -nx -batch -ex 'tbreak model.onnx:3' -ex 'tbreak conv2' -ex run -ex bt -ex continue -ex bt \
		./program >"$scratch/out" 2>&1 </dev/null
	# Where processes may not be traced there is nothing to see.
	grep -qE 'ptrace|not permitted' "$scratch/out" && return
	grep -qE '^#0 .*pool1 .* at model\.onnx:3$' "$scratch/out" || problem "no stop in node 3"
	grep -qE '^#0 .*conv2 .* at model\.onnx:4$' "$scratch/out" || problem "no stop in conv2"
}

bad_machines_are_usage_errors_that_say_what_could_be() {
	mcc 2 "$MODEL" -c -target armv9z
	says "unknown target 'armv9z'; there are generic, native, armv6m"
	mcc 2 "$MODEL" -c -target armv7em -mcpu=cortex-m99
	says "there are cortex-m4, cortex-m7"
	mcc 2 "$MODEL" -c -mcpu=cortex-m4 -mattr=+warp
	says "a feature is + or - and one of dsp"
	mcc 2 "$MODEL" -c -mcpu=cortex-m3 -mfloat-abi=hard
	says "possible is soft"
	mcc 2 "$MODEL" -c -mcpu=cortex-m4 -mfloat-abi=tepid
	says "soft, softfp or hard"
	mcc 2 "$MODEL" -c -mcpu=cortex-m4 -mfpu=abacus
	says "fpv4-sp-d16"
	mcc 2 "$MODEL" -c -march=rv32imac -mabi=ilp32d
	says "possible is ilp32"
	mcc 2 "$MODEL" -mthumb -target riscv32
	says "32-bit Arm"
	files
}

flags_of_real_builds_are_accepted() {
	# STM32Cube, Zephyr, Pico SDK, ESP-IDF, Arduino, RISC-V SDKs, MSP430, Linux.
	while read -r flags; do
		# shellcheck disable=SC2086 # words
		mcc 0 "$MODEL" -o a.c $flags -MMD -MP
		silent
	done <<'END'
-mcpu=cortex-m4 -mthumb -mfpu=fpv4-sp-d16 -mfloat-abi=hard -g3 -Os
-mcpu=cortex-m7 -mthumb -mfpu=fpv5-d16 -mfloat-abi=hard -ggdb -O3
-mcpu=cortex-m0plus -mthumb -mfloat-abi=soft -gdwarf-2
-mcpu=cortex-m33 -mthumb -mabi=aapcs -mfpu=fpv5-sp-d16 -mfloat-abi=hard -mfp16-format=ieee -mtp=soft -mcmse
-mcpu=cortex-m55 -mthumb -mabi=aapcs -mfloat-abi=hard -mfp16-format=ieee -march=armv8.1-m.main+mve.fp+fp.dp
-march=armv8-m.main+fp+dsp -mcmse -mthumb -mfloat-abi=softfp
-march=armv6-m -mcpu=cortex-m0plus -mthumb -mlong-calls -mno-unaligned-access
-march=rv32imc_zicsr_zifencei -mabi=ilp32
-march=rv32imac -mabi=ilp32 -mcmodel=medany -msmall-data-limit=8 -msave-restore
-march=rv32imafc -mabi=ilp32f -mcmodel=medlow -mno-save-restore -mstrict-align -mno-relax
-march=rv64imafdc -mabi=lp64d -mcmodel=medany
-mmcu=atmega328p -mrelax
-mmcu=atmega4809 -mcall-prologues
-mmcu=msp430fr5969 -mhwmult=f5series -msmall
-march=x86-64-v2 -mavx2 -mno-sse4.2 -m64 -fno-pie
--target=aarch64-none-elf -mcpu=cortex-a53 -mstrict-align -mlittle-endian
END
	mcc 2 "$MODEL" -o a.c -mlong-cals -mcpu=cortex-m4
	says "unknown option '-mlong-cals'"
	mcc 2 "$MODEL" -o a.c -msave-restore -mcpu=cortex-m4
	says "'-msave-restore' is no option of armv7em"
	mcc 0 '-###' "$MODEL" -mno-unaligned-access -mcpu=cortex-m4
	says "-mno-unaligned-access"
	has_llvm || return
	mcc 0 "$MODEL" -mno-unaligned-access -mcpu=cortex-m4 -S -emit-llvm -o a.ll
	grep -q '"target-features"="[^"]*+strict-align' a.ll || problem "the flag did not reach LLVM"
}

runs_in_parallel_do_not_meet() {
	for i in 1 2 3 4; do
		"$MCC" "$MODEL" -o same.c -MD &
		"$MCC" "$MODEL" -o own$i.c -fprefix=own &
	done
	wait
	files own1.c own1.h own2.c own2.h own3.c own3.h own4.c own4.h same.c same.d same.h
	mkdir alone
	mcc 0 "$MODEL" -o alone/same.c -MD
	for f in same.c same.h; do
		cmp -s $f alone/$f || problem "$f is not that of one run"
	done
	sed 's/own3\./own1./g' own3.c | cmp -s - own1.c || problem "own3.c differs from own1.c"
}

targets_and_cpus_are_listed() {
	mcc 0 --print-targets
	prints "armv7em"
	mcc 0 --print-supported-cpus -target armv7em
	prints "cortex-m7"
	mcc 2 --print-supported-cpus -target z80
	says "unknown target"
}

an_object_that_cannot_be_written_leaves_nothing() {
	has_llvm || return
	mcc 1 "$MODEL" -o nowhere/model.o
	says "nowhere/model.o: error: cannot write: No such file or directory [E0102]"
	if [ -w /dev/full ]; then
		mcc 1 "$MODEL" -c -o /dev/full
		says "No space left on device"
	fi
	files
}

a_small_machine_cannot_address_a_large_model() {
	has_llvm || return
	cat >large.mcc <<'END'
graph @large(%x: f32[1,20000]) {
  %a: f32[1,20000] = relu(%x)
  %y: f32[20000,1] = transpose(%a) {perm=[1,0]}
  %z: f32[20000,1] = softmax(%y) {axis=0}
  return %z
}
END
	mcc 1 large.mcc -target msp430 -c
	says "[E0208]"
	files large.mcc
}

generated_code_is_verified() {
	mcc 0 "$MODEL" -o a.c --verify
	silent
	mcc 0 "$MODEL" -o b.c --verify="$ROOT/samples/digits/test_x.npy"
	has_llvm && mcc 0 "$MODEL" -o c.o --verify
	# A compiler that changes a weight.
	cat >badcc <<'END'
#!/bin/sh
for f; do
	case $f in *model.c) sed -i 's/^\t\(-\?[0-9.]*\)f, /\t0.125f, /' "$f" ;; esac
done
exec cc "$@"
END
	chmod +x badcc
	CC=./badcc mcc 1 "$MODEL" -o d.c --verify
	says "[E0502]"
	says "the first layer that differs is 'conv1'"
	[ ! -e d.c ] || problem "d.c was written"
}

# ---- Running on many inputs ----

engines_and_threads_give_the_same_bytes() {
	for engine in interp jit c; do
		[ $engine != jit ] || has_llvm || continue
		mcc_run 0 --engine=$engine "$MODEL" -i "$ROOT/samples/digits/test_x.npy" -o $engine.npy
		cmp -s $engine.npy interp.npy || problem "$engine differs"
	done
	has_llvm || return
	mcc_run 0 -j 3 "$MODEL" -i "$ROOT/samples/digits/test_x.npy" -o threads.npy
	cmp -s jit.npy threads.npy || problem "three threads differ from one"
	mcc_run 2 -j many "$MODEL"
	says "the number of threads"
}

labels_score_a_model() {
	mcc_run 0 "$MODEL" -i "$ROOT/samples/digits/test_x.npy" --labels "$ROOT/samples/digits/test_y.npy"
	prints "top-1: 355 of 360, 98.61 %"
	prints "confusion matrix"
	mcc_run 0 "$MODEL" -i "$ROOT/samples/digits/test_x.npy" -o y.npy
	mcc_run 0 "$MODEL" -i "$ROOT/samples/digits/test_x.npy" --labels=y.npy
	prints "mean absolute error: 0"
	mcc_run 1 "$MODEL" -i "$ROOT/samples/digits/test_x.npy" --labels="$ROOT/samples/digits/test_x.npy"
	says "labels are"
}

archives_hold_all_inputs_and_outputs() {
	mcc_run 0 "$MODEL" -i "$ROOT/samples/digits/test_x.npy" -o y.npz
	mcc_run 0 "$MODEL" -i "$ROOT/samples/digits/test_x.npy" --compare y.npz
	prints "0 of 3600 elements differ"
	head -c 4000 y.npz >cut.npz
	mcc_run 1 "$MODEL" -i cut.npz
	says "[E0104]"
}

layers_are_dumped_and_profiled() {
	mcc_run 0 "$MODEL" -i "$ROOT/samples/digits/test_x.npy" --dump-layer pool1 -o pool1=p.npy -o y.npy
	mcc_run 0 "$MODEL" -i "$ROOT/samples/digits/test_x.npy" --compare y.npy
	prints "0 of 3600 elements differ"
	mcc_run 1 "$MODEL" -i "$ROOT/samples/digits/test_x.npy" --dump-layer nothing
	says "layers are 'conv1'"
	has_llvm || return
	mcc_run 0 "$MODEL" -i "$ROOT/samples/digits/test_x.npy" --profile
	prints "conv1"
	prints "total"
	mcc_run 2 "$MODEL" --engine=interp --profile
}

# ---- Compression ----

quantised_models_take_integers_or_what_is_asked_for() {
	has_llvm || return
	data=$ROOT/samples/digits
	mcc 0 -fquantize=int8 -fcalib="$data/calib_x.npy" "$MODEL" -o q.c --verify
	silent
	grep -q 'const int8_t \*' q.h || problem "the input is not of int8"
	! grep -qw 'float' q.c || problem "something computes in float"
	mcc 0 -fquantize=int8 -fcalib="$data/calib_x.npy" -finput-type=uint8 -foutput-type=float \
		"$MODEL" -o u.c
	grep -q 'const uint8_t \*' u.h || problem "the input is not of uint8"
	grep -q 'float \*' u.h || problem "the output is not of float"
	mcc 0 -fquantize=int16x8 -fcalib="$data/calib_x.npy" --verify "$MODEL" -o w.c
	grep -q 'const int16_t \*' w.h || problem "the input is not of int16"
	! grep -qw 'float' w.c || problem "something computes in float"
	mkdir again
	mcc 0 -fquantize=int8 -fcalib="$data/calib_x.npy" "$MODEL" -o again/q.c
	cmp -s q.c again/q.c || problem "the same samples give other code"
}

quantised_models_are_scored_on_floats() {
	data=$ROOT/samples/digits
	mcc_run 0 -fquantize=int8 -fcalib="$data/calib_x.npy" "$MODEL" -i "$data/test_x.npy" \
		--labels="$data/test_y.npy"
	prints "top-1: 35"
}

networks_are_pruned_as_asked() {
	data=$ROOT/samples/digits
	mcc 0 -fprune=50% -fcalib="$data/calib_x.npy" --report=r.json "$MODEL" -o p.c
	silent
	grep -q 'const float \*' p.h || problem "the input is not of float"
	grep -q ' -fprune=0.5' p.c || problem "the command is not in the file"
	mcc 0 -fprune=65% -fcalib="$data/calib_x.npy" --report=whole.json "$MODEL" -o p.c
	mcc 0 -fprune=layer:50% -fcalib="$data/calib_x.npy" --report=each.json "$MODEL" -o p.c
	grep -q ' -fprune=layer:0.5' p.c || problem "the command is not in the file"
	! command -v python3 >/dev/null || python3 - <<-'EOT' || problem "half of the weights are not 0"
		import json
		def layers(name):
		    all = json.load(open(name))["compression"]["layers"]
		    return [l for l in all if l.get("bits") and l["name"] != "conv1"]
		assert all(0.49 < l["sparsity"] < 0.51 for l in layers("each.json")), layers("each.json")
		conv, fc = layers("whole.json")
		zeros = conv["sparsity"] * 1728 + fc["sparsity"] * 960
		assert 0.64 < zeros / 2688 < 0.66, (conv, fc)
		assert conv["sparsity"] + 0.05 < fc["sparsity"], (conv, fc)
	EOT
	mcc_run 0 -fprune=2:4 -fquantize=int4 -fcalib="$data/calib_x.npy" "$MODEL" \
		-i "$data/test_x.npy" --labels="$data/test_y.npy"
	prints "top-1: 35"
	mcc 0 -fprune=2:4 -fquantize=ternary "$MODEL" -o t.c
	says "W0610"
}

reports_say_what_quantisation_cost() {
	data=$ROOT/samples/digits
	mcc 0 -fquantize=int8 -fcalib="$data/calib_x.npy" --labels "$data/calib_y.npy" --report "$MODEL"
	prints "on 51 samples that were held out"
	prints "right by the labels"
	prints "conv1"
	mcc 0 -fquantize=int8 -fcalib="$data/calib_x.npy" --report=r.json "$MODEL"
	silent
	! command -v python3 >/dev/null ||
		python3 -c 'import json; r = json.load(open("r.json")); r["compression"]["layers"][0]["snr_db"]; r["program"]["arena_bytes"]' ||
		problem "the report is no JSON"
	mcc 0 -fquantize=int8 -fcalib="$data/calib_x.npy" --report=r.html "$MODEL"
	silent
	for text in '<title>model.onnx</title>' 'class="plan' 'Memory over time' 'held out' '</html>'; do
		grep -qF "$text" r.html || problem "the page lacks '$text'"
	done
	! command -v python3 >/dev/null ||
		python3 -c 'import re; from xml.dom import minidom; [minidom.parseString(x) for x in re.findall("<svg.*?</svg>", open("r.html").read(), re.S)]' ||
		problem "a picture is malformed"
	mcc 0 --report=p.json "$MODEL"
	grep -q arena_bytes p.json || problem "the report of a float model lacks its arena"
}

reports_have_the_same_columns_in_all_forms() {
	data=$ROOT/samples/digits
	for form in t.txt j.json h.html; do
		mcc 0 --target=armv7em -fprune=60% -fquantize=int8 -fcalib="$data/calib_x.npy" \
			--labels="$data/calib_y.npy" --report=$form "$MODEL" -o m.c
	done
	for text in bits 'zero %' bytes MACs cycles 'SNR dB' 'error %' form 'same largest output' \
		Kullback-Leibler 'largest error' 'right by the labels' 'bytes of flash' \
		'bytes of RAM' 'dot2'; do
		grep -qF "$text" t.txt || problem "the text lacks '$text'"
	done
	for text in '<th>bits</th>' '<th>zeros</th>' '<th>form</th>' '<th>bytes</th>' '<th>MACs</th>' \
		'<th>cycles</th>' '<th>SNR</th>' '<th>share of the error</th>' \
		'same largest output' Kullback-Leibler 'largest error' 'right by the labels' \
		'bytes of flash' 'bytes of RAM' '>Modelled cycles by layer' \
		'>Bytes of constants by layer' "Share of the output's error by layer"; do
		grep -qF "$text" h.html || problem "the page lacks '$text'"
	done
	! command -v python3 >/dev/null || python3 - <<-'EOT' || problem "the JSON is not as the text"
		import json
		r = json.load(open("j.json"))
		c, layers = r["compression"], r["compression"]["layers"]
		text = {line.split()[0]: line for line in open("t.txt") if line.strip()}
		for l in layers:
		    row = text[l["name"]].split()
		    assert str(l["flash"]) in row and str(l["macs"]) in row and str(l["cycles"]) in row, (l, row)
		    assert (l["form"] or "no code") in text[l["name"]]
		    if "bits" in l:
		        assert row[3] == "8" and row[4] == f"{100 * l['sparsity']:.1f}" and l["snr_db"] > 0
		assert abs(sum(l.get("error_share", 0) for l in layers) - 1) < 1e-6
		steps = r["program"]["steps"]
		assert sum(l["cycles"] for l in layers) == sum(s["cycles"] for s in steps) == c["after"]["cycles"]
		assert c["after"]["ram"] == r["program"]["arena_bytes"] < c["before"]["ram"]
		assert c["after"]["constants"] >= r["program"]["constant_bytes"]
		assert c["after"]["flash"] < c["before"]["flash"]
	EOT
}

calibration_data_are_judged() {
	command -v python3 >/dev/null && python3 -c 'import numpy' 2>/dev/null || return 0
	python3 - "$ROOT/samples/digits/calib_x.npy" <<-'EOT'
		import sys
		import numpy as np
		x = np.load(sys.argv[1])
		np.save("shape.npy", x.reshape(len(x), -1)[:, :63])
		np.save("double.npy", x.astype(np.float64))
		np.save("empty.npy", x[:0])
		np.save("one.npy", x[:1])
		np.save("constant.npy", np.full_like(x, 3))
		x[7].flat[5] = np.nan
		np.save("nan.npy", x)
	EOT
	for bad in shape double empty nan; do
		mcc 1 -fquantize=int8 -fcalib=$bad.npy "$MODEL" -o bad.c
		says "$bad.npy: error"
		[ ! -e bad.c ] || problem "$bad.npy: a file was left"
	done
	says "element 5 of 'image' in sample 7 is not a number [E0510]"
	mcc 0 -fquantize=int8 -fcalib=one.npy "$MODEL" -o a.c
	says "1 sample is little: the ranges of values may be wrong by much; give 100 or more"
	mcc 0 -fquantize=int8 -fcalib=constant.npy "$MODEL" -o a.c
	says "are 3 in all samples: no range can be seen from that; give samples"
}

calibration_data_are_checked() {
	mcc 1 -fquantize=int8 -fcalib="$ROOT/samples/digits/test_y.npy" "$MODEL"
	says "but 'image' is f32"
	mcc 1 -fquantize=int8 -fcalib=nothing.npy "$MODEL"
	says "nothing.npy"
	mkdir folder
	mcc 1 -fquantize=int8 -fcalib=folder "$MODEL"
	says "[E0510]"
	cp "$ROOT/samples/digits/calib_x.npy" folder/image.npy
	mcc 0 -fquantize=int8 -fcalib=folder "$MODEL" -o a.c
	mv folder/image.npy folder/1.npy
	mcc 0 -fquantize=int8 -fcalib=folder "$MODEL" -o a.c
	cp folder/1.npy folder/2.npy
	mcc 0 -fquantize=int8 -fcalib=folder --report "$MODEL" -o a.c
	prints "on 102 samples"
	mcc 1 -fquantize=int8 -fcalib=folder/1.npy --labels folder/1.npy "$MODEL"
	says "not integers"
	mcc 1 -fquantize=int8 -fcalib=folder/1.npy -fkeep-float=nothing "$MODEL"
	says "no layer or value 'nothing'"
}

cut_channels_make_the_network_smaller() {
	data=$ROOT/samples/digits
	mcc 0 -fquantize=int8 -fcalib="$data/calib_x.npy" --report=whole.json "$MODEL" -o whole.c
	mcc 0 -O0 -fprune=channel:50% -fquantize=int8 -fcalib="$data/calib_x.npy" \
		--report=cut.json "$MODEL" -o cut.c --verify
	silent
	whole=$(sed -n '/"arena_bytes"/s/.*"constant_bytes": \([0-9]*\).*/\1/p' whole.json)
	cut=$(sed -n '/"arena_bytes"/s/.*"constant_bytes": \([0-9]*\).*/\1/p' cut.json)
	[ "$((2 * cut))" -lt "$whole" ] || problem "$cut bytes of constants, $whole before"
	mcc 2 -fprune=channel:100% "$MODEL"
	says "would leave nothing"
	mcc 2 -fprune=channel:many "$MODEL"
	says "channel:"
	mcc 2 -fprune=layer:100% "$MODEL"
	says "would leave nothing"
}

budgets_find_how_much_has_to_go() {
	data=$ROOT/samples/digits
	set -- --target=armv7em -fquantize=int8 -fcalib="$data/calib_x.npy" \
		--labels="$data/calib_y.npy" "$MODEL" -o m.c
	mcc 0 -fprune=auto --max-ram=400 --report=r.json "$@"
	silent
	grep -q '"found": "-fprune=channel:0.2"' r.json || problem "$(grep -o '"found[^,]*' r.json)"
	grep -q -- '-fprune=auto' m.c || problem "the command is not in the file"
	! command -v python3 >/dev/null ||
		python3 -c 'import json; assert json.load(open("r.json"))["compression"]["after"]["ram"] <= 400' ||
		problem "it does not fit"
	# What fits as it is loses nothing.
	mcc 0 -fprune=auto --max-flash=8K --report=r.json "$@"
	grep -q '"found": "no pruning"' r.json || problem "it was pruned"
	mcc 1 -fprune=auto --max-flash=2K "$@"
	says "[E0503]"
	says "-fprune=channel:0.9: "
	says "points of right answers, on 51 samples"
	mcc 1 -fprune=auto --max-ram=64 --max-drop=1 "$@"
	says "[E0503]"
	[ ! -e none.c ] || problem "a file was left"
}

what_was_lost_can_be_limited() {
	data=$ROOT/samples/digits
	set -- --target=armv7em -fquantize=int8 -fcalib="$data/calib_x.npy" "$MODEL"
	mcc 0 --max-drop=5 "$@" -o m.c
	silent
	mcc 1 -fprune=98% --max-drop=5% "$@" -o none.c
	says "of largest outputs that stay the same, on 51 samples; --max-drop= allows 5 [E0503]"
	[ ! -e none.c ] || problem "a file was left"
	mcc 0 -fprune=auto --max-drop=4 --report=r.json "$@" -o m.c
	grep -q '"found": "-fprune=' r.json || problem "nothing was pruned"
	mcc 2 -fprune=auto "$@"
	says "needs to know how far"
	mcc 2 -fprune=auto --max-drop=1 "$MODEL"
	says "add '-fcalib='"
	mcc 2 --max-drop=much "$@"
	says "--max-drop=much"
	mcc 0 --max-drop=1 -fcalib="$data/calib_x.npy" "$MODEL" -o m.c
	says "'--max-drop=' has no effect"
}

options_of_compression_need_it() {
	mcc 0 -fcalib=x.npy -fkeep-float=a -fsyntax-only "$MODEL"
	says "'-fcalib=' has no effect without '-fquantize=' or '-fprune='"
	says "'-fkeep-float=' has no effect"
	mcc 2 -fquantize=int7 "$MODEL"
	says "must be 'int8', 'int4'"
	for value in 100% 0 1 2:2 3:2 0:4 2: :4 2:4x 1:64; do
		mcc 2 -fprune=$value "$MODEL"
	done
	mcc 2 -fquantize=int8 --labels=y.npy "$MODEL"
	says "needs '-fcalib='"
	mcc 0 -fquantize=int8 "$MODEL" -o a.c
	says "the loss is unknown [W0610"
}

states_go_from_call_to_call() {
	stateful model.mcc x.npy
	for engine in interp jit c; do
		[ $engine != jit ] || has_llvm || continue
		mcc_run 0 --engine=$engine model.mcc -i x.npy
		tr -d '\n' <"$scratch/out" >flat
		grep -qF 'y: f32[3,2]  1.0 4.0  11.0 44.0  160.0 540.0' flat || problem "$engine: $(cat flat)"
		grep -qF 'more: i8[3,3]  6 7 8  7 8 9  8 9 10' flat || problem "$engine: $(cat flat)"
		mcc_run 0 --engine=$engine --reset-each model.mcc -i x.npy
		tr -d '\n' <"$scratch/out" >flat
		grep -qF 'y: f32[3,2]  1.0 4.0  10.0 40.0  5.0 10.0' flat || problem "$engine: $(cat flat)"
		# A state that is given is that in every call.
		mcc_run 0 --engine=$engine model.mcc -i x.npy -i last=x.npy -o y.npy
		[ $engine = interp ] || cmp -s y.npy first.npy || problem "$engine: another state"
		cp y.npy first.npy
	done
	mcc_run 0 -j 2 model.mcc -i x.npy --dump-layer next
	tr -d '\n' <"$scratch/out" >flat
	grep -qF '540.0next: f64[3,2]  1.0 2.0  11.0 22.0  16.0 27.0more:' flat ||
		problem "a layer is not between outputs and states: $(cat flat)"
}

states_are_in_objects_as_in_c() {
	stateful model.mcc x.npy
	mcc 0 model.mcc -o a.c -fprefix=m --verify
	has_llvm || return
	mcc 0 model.mcc -o b.o -fprefix=m --verify
	silent
	sed 's/a\.[ch]/X/g' a.h >a.txt
	sed 's/b\.[oh]/X/g' b.h >b.txt
	cmp -s a.txt b.txt || problem "the headers differ"
	[ "$(nm -g --defined-only b.o | sed 's/.* //' | tr '\n' ' ')" = 'm_reset m_run ' ] ||
		problem "the object exports something else"
	for target in armv6m avr msp430 riscv32 aarch64 wasm32; do
		mcc 0 model.mcc -target $target -c -g -o $target.o
	done
}

kernels_are_chosen_for_a_target() {
	cat >q.mcc <<-'EOT'
		graph @q(%x: i8[1,4,5,8] q(0.5, 3)) {
		  %w: i8[4,1,1,8] q(0.1, 0) = const [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, -1, -2, -3, -4, -5, -6, -7, -8, 1, 2, 3, 4, 5, 6, 7, 127]
		  %y: i8[1,4,5,4] q(2.0, -1) = conv(%x, %w) {layout=nhwc} as "conv1"
		  return %y
		}
	EOT
	mcc 0 -Rpass=kernels q.mcc -o plain.c
	! grep -q kernels: "$scratch/err" || problem "a choice without a target"
	mcc 0 -Rpass=kernels -O1 -target armv7em q.mcc -o plain.c
	! grep -q kernels: "$scratch/err" || problem "a choice at -O1"
	! grep -q smlad plain.c || problem "a kernel for a target without one"
	mcc 0 -Rpass=kernels -target armv7em q.mcc -o fast.c
	says "kernels: dot2 "
	grep -q smlad fast.c || problem "no kernel for the target"
	mcc 2 -Rpass=kernel q.mcc -o fast.c
	# The code is clean, here by its portable definitions, there with instructions.
	for target in armv7em armv8.1m.main armv6m; do
		mcc 0 -O3 -target $target q.mcc -o fast.c
		warnings='-Wall -Wextra -Wconversion -Wsign-conversion -Wshadow -pedantic -Werror'
		# shellcheck disable=SC2086 # words
		cc -std=c99 $warnings -c fast.c -o fast.o || problem "cc warns: $target"
		command -v arm-none-eabi-gcc >/dev/null || continue
		case $target in
		armv7em) cpu='-mcpu=cortex-m4 -mfloat-abi=soft' ;;
		armv8.1m.main) cpu='-mcpu=cortex-m55 -mfloat-abi=hard' ;;
		armv6m) cpu='-mcpu=cortex-m0' ;;
		esac
		# shellcheck disable=SC2086 # words
		arm-none-eabi-gcc $cpu -mthumb -O2 -std=c99 $warnings -c fast.c -o fast.o ||
			problem "arm-none-eabi-gcc warns: $target"
	done
}

the_plan_tells_what_it_did() {
	mcc 0 "$MODEL" -o m.c -Rpass=all
	says "remark: plan: "
	mcc 0 "$MODEL" -o m.c -Rpass=plan
	says "bytes of arena, at least "
	mcc 0 "$MODEL" -o m.c -Rpass=kernels
	silent
}

budgets_steer_the_kernels() {
	{
		echo 'graph @q(%x: i8[1,8,8,8] q(0.5, 3)) {'
		printf '%%w: i8[16,3,3,8] q(0.1, 0) = const ['
		awk 'BEGIN { for (i = 0; i < 1152; i++) printf "%s%d", i ? ", " : "", i % 41 - 20 }'
		echo ']'
		echo '%y: i8[1,8,8,16] q(2.0, -1) = conv(%x, %w) {layout=nhwc, pads=[1,1,1,1]} as "conv1"'
		echo 'return %y }'
	} >q.mcc
	cpu='-mcpu=cortex-m4 -fio=arena'
	# shellcheck disable=SC2086 # words
	mcc 0 $cpu -Rpass=kernels --max-flash=1M --max-ram=1M q.mcc -o fast.c --report
	says "kernels: winograd"
	says "kernels: within the budget: "
	prints "flash about "
	prints "conv1: winograd"
	# shellcheck disable=SC2086 # words
	mcc 0 $cpu -Rpass=kernels --max-flash=5K --max-ram=1M q.mcc -o m.c
	says "kernels: dot2"
	says "winograd 4x4 would save "
	# shellcheck disable=SC2086 # words
	mcc 1 $cpu --max-flash=1000 q.mcc -o no.c
	says "error: '--max-flash=1000': constants take "
	says "more in all than allowed"
	# shellcheck disable=SC2086 # words
	mcc 1 $cpu --max-ram=1K q.mcc -o no.c
	says "error: '--max-ram=1024': the arena takes "
	# shellcheck disable=SC2086 # words
	mcc 1 $cpu --max-cycles=100 q.mcc -o no.c
	says "these are the fastest kernels there are"
	mcc 1 --max-cycles=100 q.mcc -o no.c
	says "name a processor with '-mcpu='"
	[ ! -e no.c ] || problem "code beyond the budget"
	mcc 2 --max-ram=0 q.mcc
	mcc 2 --max-flash=12X q.mcc
	mcc 2 --max-flash=12G q.mcc
	mcc 2 --max-cycles=1e6 q.mcc
}

trees_with_impossible_lengths_are_errors_with_a_place() {
	cp "$ROOT/tests/fuzz/corpus/tabular/negative_length" a.ubj
	mcc 1 a.ubj -o a.c
	grep -q '^a.ubj: byte [0-9]*: error: a length is negative' "$scratch/err" || problem "no place"
	printf '{L\000\000\000\000\000\000\000\007learner' >a.ubj
	head -c 100000 /dev/zero | tr '\0' '[' >>a.ubj
	mcc 1 a.ubj -o a.c
	says "nested too deep"
	[ ! -e a.c ] || problem "a file was written"
}

trees_are_computed_as_asked() {
	model=$ROOT/tests/fuzz/corpus/tabular/categories_json
	plain=$ROOT/tests/fuzz/corpus/tabular/regression_json
	mcc 0 "$plain" -o a.c -fprefix=m -Rpass=trees
	says "trees: 2 trees with "
	says "would be about"
	for way in walk tables packed interleaved complete vectors branches tables,rank branches,none; do
		mcc 0 "$plain" -o b.c -fprefix=m -ftrees=$way --verify
		silent
		sed '/^ \* Command:/,/^ \*$/d;s/[ab]\.h//' a.c >a.txt
		sed '/^ \* Command:/,/^ \*$/d;s/[ab]\.h//' b.c >b.txt
		! cmp -s a.txt b.txt || same=$way
	done
	[ -n "${same:-}" ] || problem "no way is the one that was chosen"
	mcc 0 "$model" -o c.c -ftrees=branches,none --verify
	mcc 2 "$plain" -ftrees=fast -o d.c
	says "'walk', 'tables', "
	mcc 2 "$plain" -ftrees=tables,fast -o d.c
	says "'order', 'rank' or 'none'"
	mcc 0 "$plain" -ftrees=walk,rank -o d.c
	says "cannot be computed as asked"
}

the_arena_lies_in_several_memories_when_asked() {
	regions='-mregion=DTCM:64 -mregion=sram_2:1K'
	cat >chain.mcc <<-'EOT'
		graph @g(%x: f32[64], %dtcm_arena: f32[1]) {
		  %a = exp(%x)
		  %m: f32[1] = reduce_max(%a) {axes=[0], keepdims=true}
		  %b = sub(%a, %m)
		  %c = add(%b, %dtcm_arena)
		  %d = exp(%c)
		  %y: f32[1] = reduce_sum(%d) {axes=[0], keepdims=true}
		  return %y
		}
	EOT
	stateful model.mcc x.npy
	for model in chain.mcc model.mcc "$ROOT/tests/fuzz/corpus/tabular/regression_json"; do
		for suffix in c o; do
			for io in caller arena; do
				# shellcheck disable=SC2086 # words
				mcc 0 "$model" $regions -fio=$io -o m.$suffix --verify
				silent
			done
		done
	done
	# shellcheck disable=SC2086 # words
	mcc 0 chain.mcc $regions -o a.c -fprefix=m --report
	prints 'region DTCM: '
	prints ' of 64 bytes'
	prints ', in sram_2'
	grep -q '^#define M_DTCM_ARENA_SIZE [0-9]*u' a.h || problem "no size of the region"
	grep -q 'void \*dtcm_arena, void \*sram_2_arena);' a.h || problem "no argument a region"
	grep -q 'mregion=DTCM:64 -mregion=sram_2:1024' a.c || problem "the command is not in the file"
	# shellcheck disable=SC2086 # words
	mcc 0 chain.mcc $regions -fio=arena -o b.c -fprefix=m
	grep -q '^#define M_X_REGION 1$' b.h || problem "no region of the input"
	# shellcheck disable=SC2086 # words
	mcc 0 model.mcc $regions -fio=arena -o c.c -fprefix=m
	grep -q '^void m_reset(void \*dtcm_arena, void \*sram_2_arena);' c.h || problem "reset"
	${CC:-cc} -std=c99 -Wall -Wextra -Wconversion -pedantic -Werror -c a.c b.c c.c ||
		problem "warnings"
	mcc 1 chain.mcc -mregion=A:64 -mregion=B:255 -o no.c
	says "error: '-mregion=B:255': what fits no other region takes 256 bytes there, 1 more"
	mcc 2 chain.mcc -mregion=A:64 -mregion=a:255 -o no.c
	for wrong in A A: :64 A:0 A:64X A__B:64 _A:64 A_:64 1A:64 A-B:64; do
		mcc 2 chain.mcc -mregion=$wrong -o no.c
	done
}

tensors_live_in_the_arena_when_asked() {
	mcc 0 "$MODEL" -o a.c -fprefix=m -fio=arena --verify
	silent
	grep -q '^int m_run(void \*arena);' a.h || problem "the tensors are arguments"
	grep -q '^#define M_IMAGE_OFFSET [0-9]*u$' a.h || problem "no place of the input"
	grep -q -e '-fio=arena' a.c || problem "the command is not in the file"
	mcc 0 "$MODEL" -o b.c -fprefix=m -fclobber-input --verify
	silent
	grep -q 'm_run(float \*image' b.h || problem "the input cannot be written"
	cat >chain.mcc <<-'EOT'
		graph @g(%x: f32[64]) {
		  %a = relu(%x)
		  %b = exp(%a)
		  %y: f32[1] = reduce_sum(%b) {axes=[0], keepdims=true}
		  return %y
		}
	EOT
	mcc 0 chain.mcc -o d.c -fprefix=m
	grep -q '^#define M_ARENA_SIZE 256u' d.h || problem "another arena"
	mcc 0 chain.mcc -o d.c -fprefix=m -fclobber-input --verify
	grep -q '^#define M_ARENA_SIZE 0u' d.h || problem "the input's memory is not used"
	stateful model.mcc x.npy
	mcc 0 model.mcc -o c.c -fprefix=m -fio=arena --verify
	grep -q '^void m_reset(void \*arena);' c.h || problem "no reset of the arena"
	! grep -q m_state c.h || problem "a state beside the arena"
	${CC:-cc} -std=c99 -Wall -Wextra -Wconversion -pedantic -Werror -c a.c b.c c.c ||
		problem "warnings"
	mcc 2 "$MODEL" -o d.c -fio=arena -fbatch
	says "is of no use"
	mcc 2 "$MODEL" -o d.c -fio=stack
	says "must be 'caller' or 'arena'"
	has_llvm || return
	mcc 0 "$MODEL" -o a.o -fio=arena --verify
	mcc 0 "$MODEL" -o b.o -fclobber-input --verify
	mcc 0 model.mcc -o c.o -fio=arena --verify
	silent
}

many_rows_are_one_call() {
	plain=$ROOT/tests/fuzz/corpus/tabular/classes_json
	mcc 0 "$plain" -o a.c -fprefix=m
	grep -q '^int m_run_batch(size_t count, const float' a.h || problem "no m_run_batch"
	mcc 0 "$plain" -o b.c -fprefix=m -fno-batch
	! grep -q run_batch b.c || problem "a batch that was not wanted"
	mcc 0 "$MODEL" -o c.c
	! grep -q batch c.c || problem "a batch of a network"
	mcc 0 "$MODEL" -o d.c -fbatch
	grep -q d_run_batch d.h || problem "no batch of a network"
	cat >main.c <<-'EOT'
		#include <string.h>
		#include "a.h"
		int main(void)
		{
			static const float x[6] = {0, 1, 4, 2, 3, 3};
			float y[9], z[9];
			for (int i = 0; i < 3; i++)
				m_run(x + 2 * i, y + 3 * i, 0);
			return m_run_batch(3, x, z, 0) != M_OK || memcmp(y, z, sizeof y) != 0;
		}
	EOT
	{ ${CC:-cc} main.c a.c -o main && ./main; } || problem "other results than one by one"
	stateful model.mcc x.npy
	mcc 1 model.mcc -fbatch -o e.c
	says "cannot have -fbatch"
	has_llvm || return
	mcc 0 "$plain" -o a.o -fprefix=m --verify
	{ ${CC:-cc} main.c a.o -o main && ./main; } || problem "other results from the object"
}

trees_become_smaller_on_request() {
	model=$ROOT/tests/fuzz/corpus/tabular/regression_json
	# Twenty rows of 0 to 4, and a number for each.
	npy_header "'<f4'" '(20, 2)' >x.npy
	printf '\0\0\0\0\0\0\200\077\0\0\0\100\0\0\100\100\0\0\200\100' >five
	cat five five five five five five five five >>x.npy
	npy_header "'|u1'" '(20,)' >labels.npy
	printf '\0\1\0\1\0\1\0\1\0\1\0\1\0\1\0\1\0\1\0\1' >>labels.npy
	mcc 0 "$model" -o a.c -fquantize-trees=8 -ftrees=packed --report --verify
	prints "trees 'margin': 2 of 2 trees"
	prints "there are no samples"
	grep -q 'static const int8_t' a.c || problem "no integers"
	mcc 0 "$model" -o b.c -fprune-trees=50% -fquantize-trees=16,8 -fcalib=x.npy --labels labels.npy \
		--report=report.txt --verify
	silent
	grep -q 'on 20 samples: sums differ by' report.txt || problem "the loss is not reported"
	grep -q 'right before: ' report.txt || problem "labels are not counted"
	grep -qF -e '-fprune-trees=0.5 -fquantize-trees=16,8 -fcalib=x.npy' b.c ||
		problem "the command is not in the file"
	mcc 0 "$model" -o c.c -fselect-trees=0.5 -fcalib=x.npy --report
	prints ": 1 of 2 trees"
	mcc 2 "$model" -o d.c -fprune-trees=0.5
	says "add '-fcalib='"
	mcc 2 "$model" -o d.c -fprune-trees=150% -fcalib=x.npy
	says "it must be a share"
	mcc 2 "$model" -o d.c -fquantize-trees=4
	says "'8', '16', "
	mcc 1 "$model" -o d.c -fprune-trees=0.5 -fcalib=labels.npy
	says "this is u8[20], but 'features' is f32[1,2]"
	mcc 1 "$MODEL" -o d.c -fquantize-trees=8
	says "the model has no decision trees"
}

trees_are_shrunk_until_they_fit() {
	model=$ROOT/tests/fuzz/corpus/tabular/regression_json
	npy_header "'<f4'" '(20, 2)' >x.npy
	printf '\0\0\0\0\0\0\200\077\0\0\0\100\0\0\100\100\0\0\200\100' >five
	cat five five five five five five five five >>x.npy
	mcc 0 "$model" -o a.c -fprune-trees=auto --max-flash=64K -fcalib=x.npy --report
	! grep -q 'of 2 trees' "$scratch/out" || problem "trees that fit were shrunk"
	mcc 1 "$model" -o a.c -fprune-trees=auto --max-flash=10 -fcalib=x.npy
	says "nothing that -fprune-trees=auto tried is within all limits"
	grep -q 'as it is: [0-9]* bytes of flash' "$scratch/err" || problem "not how far it is"
	grep -q 'fquantize-trees=8,8: [0-9]* bytes of flash' "$scratch/err" ||
		problem "not what was tried"
	mcc 2 "$model" -o a.c -fprune-trees=auto -fcalib=x.npy
	says "needs to know how far"
	mcc 2 "$model" -o a.c -fprune-trees=auto --max-flash=10
	says "add '-fcalib='"
	mcc 2 "$model" -o a.c -fprune-trees=auto --max-flash=10 -fquantize-trees=8 -fcalib=x.npy
	says "finds itself what"
}

# ---- OpenVINO ----

# openvino NAME [SED SCRIPT]: the model y = x + c with its weights.
openvino() {
	cat >"$1.xml" <<-'END'
	<?xml version="1.0"?>
	<net name="sum" version="11">
	<layers>
	<layer id="0" name="x" type="Parameter" version="opset1"><data element_type="f32" shape="1,4"/><output><port id="0" names="image,x:0"/></output></layer>
	<layer id="1" name="c" type="Const" version="opset1"><data element_type="f32" shape="1,4" offset="4" size="16"/><output><port id="0"/></output></layer>
	<layer id="2" name="add" type="Add" version="opset1"><data auto_broadcast="numpy"/><input><port id="0"/><port id="1"/></input><output><port id="2"/></output></layer>
	<layer id="3" name="end" type="Result" version="opset1"><input><port id="0"/></input></layer>
	</layers>
	<edges>
	<edge from-layer="0" from-port="0" to-layer="2" to-port="0"/>
	<edge from-layer="1" from-port="0" to-layer="2" to-port="1"/>
	<edge from-layer="2" from-port="2" to-layer="3" to-port="0"/>
	</edges>
	</net>
	END
	printf '....\0\0\200?\0\0\0@\0\0@@\0\0\200@' >"$1.bin"
	[ $# -lt 2 ] || sed -i "$2" "$1.xml"
}

openvino_is_found_by_its_contents() {
	openvino sum
	mcc 0 sum.xml -o sum.c
	grep -q 'sum_run(const float \*image, float \*add' sum.h || problem "names are lost"
	mcc 0 -E sum.xml -o -
	prints 'const [1.0, 2.0, 3.0, 4.0]'
	mv sum.xml sum.pmml
	mcc 0 sum.pmml -o sum.c
	mv sum.pmml sum.xml
	mcc 1 -x pmml sum.xml -o p.c
	mcc 1 -x openvino "$ROOT/tests/conformance/pmml/regression_exp/model.pmml" -o p.c
	says "no OpenVINO IR"
}

the_weights_of_openvino_lie_beside_it() {
	mkdir folder
	openvino folder/sum
	mcc 0 folder/sum.xml -MD -MP
	has_line sum.d 'sum.c: folder/sum.xml folder/sum.bin'
	printf 'abc' >folder/sum.bin
	mcc 1 folder/sum.xml -o a.c
	says "folder/sum.xml:5:1: layer 1 'c' (Const): error"
	says "16 bytes at offset 4 are outside of the .bin file, which has 3"
	rm folder/sum.bin
	mcc 1 folder/sum.xml -o a.c
	says "the constants of the model are in 'folder/sum.bin', which cannot be read"
	"$MCC" -x openvino - -o a.c <folder/sum.xml >"$scratch/out" 2>"$scratch/err"
	[ $? = 1 ] || problem "constants came from nowhere"
	says "no place when it is read from standard input"
	[ ! -e a.c ] || problem "a file was written"
}

openvino_constants_are_not_trusted() {
	for change in 's/offset="4"/offset="18446744073709551615"/' 's/offset="4"/offset="-4"/' \
		's/size="16"/size="15"/' 's/size="16"/size="9223372036854775807"/' \
		's/"1,4" offset/"1,-4" offset/' 's/"1,4" offset/"65536,65536" offset/' \
		's/"1,4" offset/"1,2,1,1,1,1,1,1,2" offset/' 's/"f32" shape="1,4" offset/"nf4" shape="1,4" offset/'; do
		openvino sum "$change"
		mcc 1 sum.xml -o a.c
		says "sum.xml:5:1: layer 1 'c' (Const): error"
	done
}

two_versions_of_openvino_are_read() {
	openvino sum 's/version="11"/version="10"/'
	mcc 0 sum.xml -o a.c
	openvino sum 's/version="11"/version="7"/'
	mcc 1 sum.xml -o a.c
	says "sum.xml:2:1: error"
	says "OpenVINO IR version 7 is not supported; 10 and 11 are"
}

unknown_dimensions_of_openvino_are_given() {
	openvino sum 's/"1,4"\/><output><port id="0" names/"?,2..8"\/><output><port id="0" names/'
	mcc 1 sum.xml -o a.c
	says "sum.xml:4:1: layer 0 'x' (Parameter): error"
	says "give the shape with -finput-shape=image:?x?"
	mcc 0 sum.xml -o a.c -finput-shape=image:3x4
	mcc 0 sum.xml -o a.c -finput-shape=x:3x4
	mcc 1 sum.xml -o a.c -finput-shape=x:3x9
	says "which the model does not allow: 2 to 8"
	mcc 1 sum.xml -o a.c -finput-shape=y:3x4
	says "the model has no input 'y'"
	openvino sum
	mcc 0 sum.xml -o a.c -D batch=3
	says "dimensions of OpenVINO models have no names"
	mcc 0 -E sum.xml -finput-value=image:2 -o -
	prints 'const [3.0, 4.0, 5.0, 6.0]'
}

layers_of_openvino_that_are_not_supported_are_all_named() {
	openvino sum 's/type="Add"/type="NonMaxSuppression"/; s/name="c" type="Const"/name="c" type="Proposal"/'
	mcc 1 sum.xml -o a.c
	says "sum.xml:5:1: layer 1 'c' (Proposal): error"
	openvino sum 's/type="Add" version="opset1"/type="Add" version="extension"/'
	mcc 1 sum.xml -o a.c
	says "layers of type 'Add' (extension) are not supported"
	openvino sum '/name="add"/{s/"Add"/"Bucketize"/;p;s/id="2" name="add"/id="5" name="b"/}; /from-layer="1"/{p;s/to-layer="2" to-port="1"/to-layer="5" to-port="0"/}; /"end"/{p;s/id="3"/id="6"/}; /to-layer="3"/{p;s/from-layer="2"/from-layer="5"/;s/to-layer="3"/to-layer="6"/}'
	mcc 1 sum.xml -o a.c
	says "2 layers are of types that are not supported: Bucketize (2)"
}

broken_openvino_is_an_error_with_its_place() {
	openvino sum 's/from-layer="0" from-port="0"/from-layer="0" from-port="7"/'
	mcc 1 sum.xml -o a.c
	says "sum.xml:10:1: error"
	says "there is no output port 7 of layer 0"
	openvino sum 's/from-layer="0" from-port="0"/from-layer="2" from-port="2"/'
	mcc 1 sum.xml -o a.c
	says "sum.xml:6:1: layer 2 'add' (Add): error"
	says "the layer depends on itself"
	openvino sum 's/layer id="1"/layer id="0"/'
	mcc 1 sum.xml -o a.c
	says "sum.xml:5:1: error"
	says "two layers have the same id"
	openvino sum '/from-layer="1"/d'
	mcc 1 sum.xml -o a.c
	says "input 1 is not connected"
	openvino sum 's/"numpy"/"none"/; s/"1,4"\/><output><port id="0" names/"4"\/><output><port id="0" names/'
	mcc 1 sum.xml -o a.c
	says "nothing is broadcast"
	for attack in entity deep; do
		tr -d '\0' <"$ROOT/tests/fuzz/corpus/openvino/$attack" >a.xml
		mcc 1 -x openvino a.xml -o a.c
		grep -q '^a.xml:[0-9]*:[0-9]*: error' "$scratch/err" || problem "$attack: no place"
	done
}

# ---- PMML ----

xml_attacks_are_errors_with_a_place() {
	for attack in laughs external encoding deep; do
		cp "$ROOT/tests/fuzz/corpus/pmml/$attack" a.pmml
		mcc 1 -x pmml a.pmml -o a.c
		grep -q '^a.pmml:[0-9]*:[0-9]*: error' "$scratch/err" || problem "$attack: no place"
		[ ! -e a.c ] || problem "$attack: a file was written"
	done
	printf '<PMML version="%s"/>' "$(head -c 1000000 /dev/zero | tr '\0' a)" >big.pmml
	mcc 1 big.pmml -o a.c
	says "big.pmml:1:"
	says "is longer than"
	printf '<PMML version="4.4">\n<Header' >end.pmml
	mcc 1 end.pmml -o a.c
	says "end.pmml:2:"
}

a_model_that_is_not_supported_is_an_error_with_its_place() {
	printf '<PMML version="4.4"><DataDictionary/>\n  <TextModel/></PMML>' >t.pmml
	mcc 1 t.pmml -o t.c
	says "t.pmml:2:3: error"
	says "a model of texts is not supported"
	sed 's|</PMML>|<TextModel/></PMML>|' "$ROOT/tests/conformance/pmml/regression_exp/model.pmml" >two.pmml
	mcc 0 two.pmml -o two.c
	says "only the first model of the file is read"
}

targets_that_cannot_be_told_apart_are_errors() {
	two=$ROOT/tests/conformance/pmml/mining_targets_scaled/model.pmml
	sed 's/modelChain/average/' "$two" >t.pmml
	mcc 1 t.pmml -o t.c
	says "t.pmml:11:1: error"
	says "putting together results of the targets 'a' and 'b' is not supported"
	sed 's/targetField="b"/targetField="x"/' "$two" >t.pmml
	mcc 1 t.pmml -o t.c
	says "t.pmml:7:1: error"
	says "nothing is known of the target 'x'"
	sed 's|<MiningField name="[ab]" usageType="target"/></MiningSchema><R|</MiningSchema><R|' "$two" >t.pmml
	mcc 1 t.pmml -o t.c
	says "t.pmml:5:1: error"
	says "several targets, none of which a segment names, is not supported"
	sed 's/modelChain/selectAll/; s|<Output>.*||; s|.*</Output>||' "$two" >t.pmml
	mcc 1 t.pmml -o t.c
	says "selectAll without an <OutputField> that has a segmentId is not supported"
}

labels_that_are_strings_are_an_enum() {
	mcc 0 "$ROOT/tests/cli/labels.onnx" -o l.c
	grep -q "L_LABEL_IRIS_SETOSA = 0, /\* 'Iris setosa' \*/" l.h || problem "no enum"
	grep -q "^} l_label;" l.h || problem "no type"
}

rows_of_a_csv_file_are_run() {
	model=$ROOT/tests/conformance/pmml/treatment/model.pmml
	printf 'other,b,"a",d\n"x,y",-2,3.5,0.5\n,NA,12,\n' >rows.csv
	mcc_run 0 "$model" -i rows.csv -o out.csv --engine=interp
	says "there is no column 'c'; it is missing in every row"
	[ "$(sed -n 2p out.csv)" = "7,7,low,-2,0.75,true" ] || problem "row 1: $(sed -n 2p out.csv)"
	[ "$(sed -n 3p out.csv)" = ",,none,-2,0.5," ] || problem "row 2: $(sed -n 3p out.csv)"
	mcc_run 0 "$model" -i rows.csv
	prints "7,7,low,-2,0.75,true"
	printf 'a,b\n1,two\n' >rows.csv
	mcc_run 1 "$model" -i rows.csv
	says "rows.csv:2:3: error: 'two' is no number"
	printf 'a,b\n1\n' >rows.csv
	mcc_run 1 "$model" -i rows.csv
	says "there are 1 cells, but 2 in the first line"
	printf 'a\n"1\n' >rows.csv
	mcc_run 1 "$model" -i rows.csv
	says "the quoted cell does not end"
	mcc_run 1 "$MODEL" -i rows.csv
	says "the model does not name its fields"
}

recorded_rows_of_a_model_are_verified() {
	cp "$ROOT/tests/conformance/pmml/regression_ordinal/model.pmml" m.pmml
	mcc 0 --verify m.pmml -o m.c
	mcc 0 -E m.pmml -o m.mcc
	mcc 0 --verify m.mcc -o m2.c
	sed 's/<t>mid/<t>low/' m.pmml >wrong.pmml
	mcc 1 --verify wrong.pmml -o w.c
	says "not those that the model comes with, the first is 't' of row 1"
	sed 's/0.4612096082201215/0.4612096102201215/' m.pmml >near.pmml
	mcc 1 --verify near.pmml -o w.c
	says "the first is 'p2' of row 1"
}

# ---- All of them ----

# shellcheck disable=SC2046 # words
[ $# != 0 ] || set -- $(sed -n 's/^\([a-z_]*\)() {$/\1/p' "$0")
for case; do
	case $case in
	stateful | openvino | problem | expect_status | mcc | mcc_run | says | prints | silent | files | has_line | graph | \
		npy_header | wait_for_temporary | has_llvm) continue ;;
	esac
	bad=0
	cases=$((cases + 1))
	mkdir "$scratch/folder"
	# A subshell, so that a case cannot spoil the next one.
	(
		cd "$scratch/folder" || exit 1
		"$case"
		exit $bad
	) || failures=$((failures + 1))
	rm -rf "$scratch/folder"
done
echo "$((cases - failures)) of $cases cases passed"
[ "$failures" = 0 ]
