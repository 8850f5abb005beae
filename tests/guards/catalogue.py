"""The guards: against what Faust, Kafka and the libraries do, and against ourselves."""

from __future__ import annotations

from tests.guards.guard import Guard

HOST = "tests/unit/streams_proc/test_host.py::"
LINE = "tests/unit/streams_proc/test_stateless_line.py::"
STATE = "tests/unit/streams_proc/test_stateful_line.py::"
SNAPS = "tests/unit/streams_proc/test_snapshots.py::"
SENDS = "tests/unit/streams_proc/test_publish.py::"
CLIENTS = "tests/unit/core/test_kafka_clients.py::"
ANALYSE = "tests/unit/analyse/test_handler.py::"
INGEST = "tests/unit/ingest/test_publishing.py::"
NOT_TRIED = "tests/integration/streams_proc/test_not_tried_yet.py::"
COUNTING = "tests/integration/streams_proc/test_counting.py::"
READER_CLIENT = (
    "tests/unit/ingest/test_reader_client.py::"
    "test_a_readers_producer_gives_no_frame_up_and_sends_none_behind_one_that_is_refused"
)
READING_TESTS = "tests/unit/ingest/test_reading.py::"
LEAVING = "tests/unit/ingest/test_leaving.py::"
FILES = "tests/unit/ingest/test_file_source.py::"
MACHINES = "tests/unit/streams_proc/test_line_machines.py::"

FAUST = (
    Guard(
        "Faust acknowledges nothing",
        "Faust commits offsets of its own, off by one where acknowledgements have holes",
        "streams_proc/host.py",
        "source = self.app.topic(topic, acks=False, **raw)",
        "source = self.app.topic(topic, **raw)",
        (HOST + "test_faust_acknowledges_commits_and_waits_for_nothing",),
    ),
    Guard(
        "events without acknowledgement",
        "an exception that escapes an agent acknowledges its message",
        "streams_proc/host.py",
        "stream.noack().events()",
        "stream.events()",
        (HOST + "test_records_are_delivered_with_their_generation",),
    ),
    Guard(
        "one agent at a time",
        "two instances of an agent deliver one partition's records out of order",
        "streams_proc/host.py",
        "concurrency=1)",
        "concurrency=2)",
        (HOST + "test_faust_acknowledges_commits_and_waits_for_nothing",),
    ),
    Guard(
        "an error in an agent ends the process",
        "Faust starts the agent anew with the record passed over",
        "streams_proc/host.py",
        "                self._broken = error\n",
        "",
        (HOST + "test_an_error_in_an_agent_ends_the_process",),
    ),
    Guard(
        "a rebalance waits for nobody",
        "an agent that sits on messages holds every rebalance of its group in `wait_empty`",
        "streams_proc/host.py",
        '"stream_wait_empty": False',
        '"stream_wait_empty": True',
        (HOST + "test_faust_acknowledges_commits_and_waits_for_nothing",),
    ),
    Guard(
        "no standby replicas",
        "Faust's own assignor gives a third member of four partitions nothing",
        "streams_proc/host.py",
        '"table_standby_replicas": 0',
        '"table_standby_replicas": 1',
        (HOST + "test_faust_acknowledges_commits_and_waits_for_nothing",),
    ),
    Guard(
        "no Table",
        "recovery resumes partitions before it seeks, and what was prefetched never comes back",
        "streams_proc/host.py",
        "        self._topics = topics\n",
        '        self._topics = topics\n        self.app.Table("state")\n',
        (
            HOST + "test_no_table_no_take_and_no_seek_anywhere",
            HOST + "test_faust_acknowledges_commits_and_waits_for_nothing",
        ),
    ),
    Guard(
        "no exactly_once",
        "it lost 494 messages of a run and restored empty states",
        "streams_proc/host.py",
        '"web_enabled": False',
        '"processing_guarantee": "exactly_once",\n        "web_enabled": False',
        (HOST + "test_faust_acknowledges_commits_and_waits_for_nothing",),
    ),
    Guard(
        "nothing is sought",
        "a seek under an agent can end the worker, and thrashes",
        "streams_proc/host.py",
        "        self.app.consumer.on_buffer_full(TP(*tp))",
        "        self.app.consumer.seek(TP(*tp), 0)",
        (HOST + "test_no_table_no_take_and_no_seek_anywhere",),
    ),
    Guard(
        "a busy worker keeps its place",
        "a long wait for a model server costs the membership",
        "streams_proc/host.py",
        '        "broker_max_poll_interval": DAY_S,\n',
        "",
        (HOST + "test_a_stalled_worker_loses_its_place_in_seconds_and_a_busy_one_never",),
    ),
    Guard(
        "a stalled worker loses its place in seconds",
        "partitions of a killed worker stand still for a minute",
        "streams_proc/host.py",
        "SESSION_S = 6.0",
        "SESSION_S = 60.0",
        (HOST + "test_a_stalled_worker_loses_its_place_in_seconds_and_a_busy_one_never",),
    ),
    Guard(
        "polls of few records",
        "a poll of thousands of frames fills the memory before a bound in bytes is looked at",
        "streams_proc/host.py",
        '        "broker_max_poll_records": POLL_RECORDS,\n',
        "",
        (HOST + "test_what_is_fetched_fits_frames",),
    ),
    Guard(
        "fetches that hold frames",
        "the default fetch of 1 MiB is smaller than a large frame",
        "streams_proc/host.py",
        '        "consumer_max_fetch_size": FETCH_BYTES,\n',
        "",
        (HOST + "test_what_is_fetched_fits_frames",),
    ),
    Guard(
        "a new group begins with the first record",
        "what was published before the first worker joined is never read",
        "streams_proc/host.py",
        '"consumer_auto_offset_reset": "earliest"',
        '"consumer_auto_offset_reset": "latest"',
        (HOST + "test_a_stalled_worker_loses_its_place_in_seconds_and_a_busy_one_never",),
    ),
    Guard(
        "standard output is ours",
        "Faust turns each argument of a print into a log line",
        "streams_proc/host.py",
        '        "worker_redirect_stdouts": False,\n',
        "",
        (HOST + "test_faust_leaves_the_output_the_topics_and_the_ports_alone",),
    ),
    Guard(
        "the data folder is there",
        "Faust does not start where the parent of its folder is missing",
        "streams_proc/host.py",
        "        folder.mkdir(parents=True, exist_ok=True)\n",
        "",
        (HOST + "test_faust_leaves_the_output_the_topics_and_the_ports_alone",),
    ),
    Guard(
        "static membership by instance",
        "every restart of a worker costs a rebalance",
        "streams_proc/host.py",
        "        **static,\n",
        "",
        (HOST + "test_a_membership_is_static_where_there_is_an_instance",),
    ),
)

STATE_OF_A_PARTITION = (
    Guard(
        "a new generation forgets",
        "a worker goes on with a state that another has carried further meanwhile",
        "streams_proc/stateful.py",
        "if worker is None or worker.generation != generation:",
        "if worker is None:",
        (STATE + "test_the_state_of_an_ended_generation_is_not_used_again",),
    ),
    Guard(
        "left-over records are passed over (state)",
        "a record fetched in an ended generation takes the partition from its worker",
        "streams_proc/stateful.py",
        "if self._stopped or generation != self._means.group.generation:",
        "if self._stopped:",
        (STATE + "test_a_record_that_an_ended_generation_left_over_disturbs_nobody",),
    ),
    Guard(
        "the highest snapshot, not the last",
        "a zombie's older snapshot, written after a newer one, is restored",
        "streams_proc/snapshots.py",
        "max(snapshots, key=lambda s: s.next, default=None)",
        "(snapshots[-1] if snapshots else None)",
        (
            SNAPS + "test_the_highest_next_offset_wins_not_the_last_record",
            STATE + "test_a_new_generation_forgets_and_restores_the_newest_snapshot_and_removes_the_old_keys",
        ),
    ),
    Guard(
        "a snapshot's key names its writer",
        "a static member that comes back keeps the generation's number, and its forerunner overwrites its state",
        "streams_proc/snapshots.py",
        'f"{partition}/{generation}/{writer}"',
        'f"{partition}/{generation}"',
        (
            SNAPS + "test_a_static_member_that_comes_back_in_the_same_generation_has_another_key",
            MACHINES + "test_a_forerunner_of_the_same_generation_that_writes_late_spoils_nothing",
        ),
    ),
    Guard(
        "keys of old generations are removed",
        "the snapshot topic grows by a key for every rebalance, and each restart reads them all",
        "streams_proc/stateful.py",
        "            if key != self._key:\n                await self._write(key, None)",
        "            pass",
        (STATE + "test_a_new_generation_forgets_and_restores_the_newest_snapshot_and_removes_the_old_keys",),
    ),
    Guard(
        "a commit ahead of every snapshot stops the line",
        "records between the snapshot and the commit are missing from the state, and nobody knows",
        "streams_proc/stateful.py",
        "if newest is None or newest.next < (committed or 0):",
        "if newest is None:",
        (STATE + "test_a_commit_ahead_of_every_snapshot_stops_the_line[records1]",),
    ),
    Guard(
        "reading goes on at the snapshot",
        "records that are in the state already are put into it again",
        "streams_proc/stateful.py",
        "Progress.begin(self.tp, self.generation, max(start, newest.next))",
        "Progress.begin(self.tp, self.generation, start)",
        (
            STATE + "test_a_new_generation_forgets_and_restores_the_newest_snapshot_and_removes_the_old_keys",
            MACHINES + "test_a_process_killed_between_snapshot_and_commit_repeats_nothing_into_the_state",
        ),
    ),
    Guard(
        "a commit that a dead worker owed is made",
        "the partition looks unread for ever, and its frames are never trimmed",
        "streams_proc/stateful.py",
        "        progress.cut = committed or 0\n",
        "",
        (STATE + "test_what_was_snapshot_and_not_committed_is_committed_though_no_record_follows[1]",),
    ),
    Guard(
        "outputs are confirmed before the snapshot",
        "a snapshot says that outputs are out which are lost with the process",
        "streams_proc/stateful.py",
        "        await outputs.confirmed()\n",
        "",
        (STATE + "test_the_order_is_outputs_then_snapshot_then_commit",),
    ),
    Guard(
        "the snapshot is confirmed before the commit",
        "a commit is ahead of the newest snapshot when the process dies in between",
        "streams_proc/stateful.py",
        "        await tally.confirmed()\n",
        "",
        (STATE + "test_the_order_is_outputs_then_snapshot_then_commit",),
    ),
    Guard(
        "the generation is looked at before the snapshot",
        "a worker that has lost its partition goes on writing snapshots of it",
        "streams_proc/stateful.py",
        "        if not self._current():\n            return\n        await self._write(self._key, snapshot)",
        "        await self._write(self._key, snapshot)",
        (STATE + "test_a_generation_that_ends_between_the_steps_goes_no_further[0]",),
    ),
    Guard(
        "the generation is looked at before the commit (state)",
        "a worker commits for a partition that is another's by now",
        "streams_proc/stateful.py",
        "if not self._current() or not await self._means.group.commit({self.tp: next_offset}):",
        "if not await self._means.group.commit({self.tp: next_offset}):",
        (STATE + "test_a_generation_that_ends_between_the_steps_goes_no_further[1]",),
    ),
    Guard(
        "one cut after the other",
        "a later cut commits past outputs of an earlier one that are still on their way",
        "streams_proc/stateful.py",
        "        await self._settled()\n        if progress.done",
        "        if progress.done",
        (STATE + "test_a_cut_waits_for_the_one_before_it",),
    ),
    Guard(
        "a snapshot of another envelope is an error",
        "bytes of another version are taken for a state",
        "streams_proc/snapshots.py",
        "if envelope.version != VERSION:",
        "if envelope.version < 0:",
        (SNAPS + "test_what_cannot_be_read_is_an_error[another version]",),
    ),
    Guard(
        "a state of another version or tracker is an error",
        "a tracker of another version goes on with insides that it does not understand",
        "streams_proc/memory.py",
        "        if head != FORMAT:",
        "        if not head:",
        (
            "tests/unit/streams_proc/test_memory.py::"
            "test_a_whole_snapshot_of_another_version_or_tracker_stops_the_line[another format]",
        ),
    ),
    Guard(
        "a snapshot runs no code",
        "whoever can write to the topic runs code in the worker",
        "streams_proc/state_bytes.py",
        "        if not isinstance(found, type) or found.__module__ != module:  # nor what a module has from elsewhere",
        "        if found is None:\n            found = super().find_class(module, name)\n        if found is None:",
        (ANALYSE + "test_a_snapshot_runs_no_code",),
    ),
)

READING = (
    Guard(
        "left-over records are passed over (no state)",
        "a record fetched in an ended generation is taken for a gap, or for the next",
        "streams_proc/stateless.py",
        "if generation == group.generation and self._knows(record.tp, generation):",
        "if self._knows(record.tp, generation):",
        (LINE + "test_a_record_that_an_ended_generation_left_over_disturbs_nobody",),
    ),
    Guard(
        "records that were read are passed over",
        "what Kafka delivers again is handled again",
        "streams_proc/line.py",
        "        if record.offset < self.next:",
        "        if record.offset < 0:",
        (
            LINE + "test_reading_begins_at_what_is_committed_and_passes_over_what_was_read",
            MACHINES + "test_a_process_killed_between_snapshot_and_commit_repeats_nothing_into_the_state",
        ),
    ),
    Guard(
        "a gap ends the process",
        "records that never came are passed over and committed",
        "streams_proc/line.py",
        "        if record.offset > self.next:",
        "        if record.offset < 0:",
        (STATE + "test_a_gap_ends_the_line", LINE + "test_a_gap_ends_the_line[offsets1]"),
    ),
    Guard(
        "an error of a handler ends the process",
        "the record that a handler failed at is passed over",
        "streams_proc/attempt.py",
        "            if policy.handling is not Handling.RETRY:\n                raise\n",
        "            if policy.handling is not Handling.RETRY:\n                return None\n",
        (
            "tests/unit/streams_proc/test_attempt.py::test_any_other_error_passes",
            LINE + "test_anything_else_ends_the_line_uncommitted[error1]",
        ),
    ),
    Guard(
        "an outcome for every record",
        "outcomes are published for the wrong records",
        "streams_proc/line.py",
        "    if len(answer) != len(records):",
        "    if False:",
        (LINE + "test_anything_else_ends_the_line_uncommitted[None]",),
    ),
    Guard(
        "a call of an ended generation is given up",
        "a worker asks the model server for ever for what is another's by now",
        "streams_proc/line.py",
        "lambda: means.group.generation == generation",
        "lambda: True",
        (LINE + "test_a_call_whose_generation_has_ended_is_given_up",),
    ),
    Guard(
        "nothing is published behind a call that was given up",
        "the records before it come again after it, and a batch has a gap for ever",
        "streams_proc/stateless.py",
        "if progress.generation != self._means.group.generation:",
        "if False:",
        (LINE + "test_nothing_is_published_behind_a_call_that_was_given_up",),
    ),
    Guard(
        "what arrives after its stream was swept is swept again",
        "a sink that stood still between looking and writing brings a deleted stream back",
        "streams_proc/sink.py",
        "            self._ledger.sweep_again(late)\n",
        "            pass\n",
        ("tests/unit/streams_proc/test_sinks.py::test_what_arrives_after_its_stream_was_swept_is_swept_again",),
    ),
    Guard(
        "reading begins with what is kept",
        "after records were deleted unread, every restart ends with a gap",
        "streams_proc/line.py",
        "low if committed is None else max(committed, low)",
        "low if committed is None else committed",
        (
            LINE + "test_reading_never_begins_before_what_is_kept[3-5-5]",
            STATE + "test_what_was_deleted_unread_is_counted_and_reading_goes_on_with_what_is_kept",
        ),
    ),
    Guard(
        "what was deleted unread is counted",
        "records are gone and no number says so",
        "streams_proc/line.py",
        '        counter("sightline_stage_messages_total").labels(stage, "expired").inc(low - committed)\n',
        "",
        (STATE + "test_what_was_deleted_unread_is_counted_and_reading_goes_on_with_what_is_kept",),
    ),
    Guard(
        "what a stage reads is never compacted",
        "a compacted log has holes, and each is a gap for ever",
        "core/topics.py",
        "        Topic(names.detections, n, kept(12 * HOUR_MS)),",
        "        Topic(names.detections, n, compact),",
        (CLIENTS + "test_what_a_stage_reads_has_no_holes",),
    ),
    Guard(
        "what waits is bounded in bytes",
        "a buffer of 4096 messages of 300 KB each",
        "streams_proc/pressure.py",
        "            self._pause(record.tp)\n",
        "",
        ("tests/unit/streams_proc/test_gather.py::test_bytes_that_wait_are_bounded_topic_by_topic",),
    ),
    Guard(
        "files stand back at the model server while cameras ask",
        "a live frame shares the processor with as many batches as fit",
        "inference/server/gate.py",
        "            return False\n        return self._inside + turn.images <= self._running\n",
        "            pass\n        return self._inside + turn.images <= self._running\n",
        ("tests/unit/inference/test_gate.py::test_while_cameras_ask_a_file_goes_in_only_when_nothing_runs",),
    ),
    Guard(
        "cameras that leave no gap let a file by",
        "a task's frames are never looked at while cameras fill the model server",
        "inference/server/gate.py",
        "self._batch_entered_at) >= PATIENCE_S",
        "self._batch_entered_at) >= 1e9",
        ("tests/unit/inference/test_gate.py::test_cameras_that_leave_no_gap_let_a_file_by_now_and_then",),
    ),
    Guard(
        "a call that was cancelled from within ends the stage",
        "the line waits for its answer for ever, and says nothing",
        "streams_proc/line.py",
        '        raise FatalError(f"{stage}: a call was cancelled") from error',
        "        raise",
        (
            "tests/unit/streams_proc/test_stateless_line.py::"
            "test_a_call_that_somebody_cancelled_ends_the_line_instead_of_halting_it",
        ),
    ),
    Guard(
        "tasks go frame by frame while cameras send",
        "a live frame shares the processor with a whole batch",
        "streams_proc/stateless.py",
        "return 1 if any(",
        "return self._stage.batch if any(",
        (
            "tests/unit/streams_proc/test_detect.py::test_while_cameras_send_frames_a_task_is_looked_at_frame_by_frame[False]",
        ),
    ),
    Guard(
        "live goes before batch",
        "a backlog of jobs delays cameras",
        "streams_proc/detect.py",
        "        apart=True,\n",
        "",
        ("tests/unit/streams_proc/test_detect.py::test_a_live_frame_waits_behind_no_call_of_a_task",),
    ),
    Guard(
        "a committed offset that is not known yet is asked for again",
        "a look at the ledger of a broker that has just begun says that nothing was read",
        "core/kafka.py",
        "            raise KafkaException(answer.error)\n",
        "            pass\n",
        ("tests/unit/core/test_reading.py::test_a_committed_offset_that_is_not_known_yet_is_not_taken_for_none",),
    ),
)

CUTS_WITHOUT_STATE = (
    Guard(
        "outputs are confirmed before the commit",
        "outputs that are lost with the process are committed",
        "streams_proc/stateless.py",
        "            await tally.confirmed()\n",
        "",
        (LINE + "test_nothing_is_committed_before_its_outputs_are_confirmed",),
    ),
    Guard(
        "the generation is looked at before the commit (no state)",
        "a worker commits for a partition that is another's by now",
        "streams_proc/stateless.py",
        "if offsets and self._means.group.generation == generation and await",
        "if offsets and await",
        (LINE + "test_a_cut_of_a_generation_that_ends_meanwhile_commits_nothing",),
    ),
    Guard(
        "a record's outputs belong to one cut",
        "a cut that begins between two outputs lets the next commit the record while the second is on its way",
        "streams_proc/stateless.py",
        "                tally.add()\n                await publish(self._means, record, outcome, tally)\n"
        "                tally.settle(None)\n",
        "                await publish(self._means, record, outcome, tally)\n",
        (LINE + "test_a_cut_between_two_outputs_of_a_record_waits_for_both",),
    ),
    Guard(
        "a cut is taken without a pause",
        "what is finished during the pause is committed with outputs that the cut does not know",
        "streams_proc/stateless.py",
        "            offsets = {}\n",
        "            await asyncio.sleep(0)\n            offsets = {}\n",
        (LINE + "test_a_cut_knows_the_outputs_of_all_that_it_commits",),
    ),
    Guard(
        "calls finish in the order in which they began",
        "the answer that comes first is published first, and a stream's order is lost",
        "streams_proc/stateless.py",
        "            outcomes = await call\n",
        "            if not call.done() and not course.begun.empty():\n"
        "                course.begun.put_nowait(begun)\n"
        "                await asyncio.sleep(0)\n"
        "                continue\n"
        "            outcomes = await call\n",
        (LINE + "test_two_calls_are_in_flight_and_finish_in_order",),
    ),
    Guard(
        "a stop lets the cut under way finish",
        "what the cancelled cut had taken is committed by no other",
        "streams_proc/stateless.py",
        "            await timer\n",
        "            timer.cancel()\n",
        (LINE + "test_stopping_waits_for_a_cut_under_way",),
    ),
)

SENDING = (
    Guard(
        "a frame is gone by its log's ends, not by an error",
        "after a broker's restart views are lost: the client knows no partition any more",
        "streams_proc/frame_reader.py",
        "        except KafkaException as error:\n            self._forget_consumer()\n",
        "        except KafkaException as error:\n            if error.args[0].code() == -190:\n"
        "                return found\n            self._forget_consumer()\n",
        (
            "tests/unit/streams_proc/test_frame_reader.py::"
            "test_a_partition_that_the_client_does_not_see_is_asked_for_again_by_another[-190]",
        ),
    ),
    Guard(
        "every producer is idempotent",
        "a retry puts a later record before an earlier one: 29 came before 0 on a fresh topic",
        "core/kafka.py",
        '    "enable.idempotence": True,\n',
        "",
        (CLIENTS + "test_every_producer_is_idempotent",),
    ),
    Guard(
        "a refused record ends its producer",
        "the records behind it arrive without it, and it is a replay when it comes again",
        "streams_proc/publish.py",
        '    "enable.gapless.guarantee": True,\n',
        "",
        (SENDS + "test_nothing_follows_an_output_that_is_lost",),
    ),
    Guard(
        "no output runs out of time",
        "after ten minutes without a broker the oldest outputs are given up and the younger arrive",
        "streams_proc/publish.py",
        '    "delivery.timeout.ms": 0,\n',
        "",
        (SENDS + "test_nothing_follows_an_output_that_is_lost",),
    ),
    Guard(
        "nothing is sent behind a lost output",
        "the stage publishes on while its end is near",
        "streams_proc/publish.py",
        "            if self._lost is not None:\n                tally.settle(self._lost)\n",
        "            if False:\n                tally.settle(self._lost)\n",
        (SENDS + "test_nothing_follows_an_output_that_is_lost",),
    ),
    Guard(
        "what waits behind a lost output is thrown away",
        "closing the producer sends what waits, without what was lost",
        "streams_proc/publish.py",
        "            self._producer.purge(in_queue=True, in_flight=True, blocking=False)\n",
        "",
        (SENDS + "test_what_waits_behind_a_lost_output_is_never_sent",),
    ),
    Guard(
        "a producer that has ended tells the line",
        "the thread that serves deliveries ends, and every commit waits for ever",
        "streams_proc/publish.py",
        "            except KafkaException as error:  # fatal: raised once, instead of the deliveries, which follow\n"
        "                self._lose(str(error))\n",
        "            except ZeroDivisionError:\n                pass\n",
        (SENDS + "test_a_producer_that_has_ended_loses_what_it_holds",),
    ),
    Guard(
        "an output that is given up is an error",
        "it is committed as if it had arrived",
        "streams_proc/publish.py",
        "            self._error = self._error or error\n",
        "",
        (
            SENDS + "test_an_output_that_was_given_up_is_an_error_even_when_others_arrive",
            LINE + "test_an_output_that_is_given_up_ends_the_line_uncommitted",
        ),
    ),
    Guard(
        "our consumers commit only when told to",
        "a client that only looks moves the group's offsets",
        "core/kafka.py",
        '            "enable.auto.commit": False,\n',
        "",
        (CLIENTS + "test_no_consumer_commits_by_itself",),
    ),
    Guard(
        "a deletion's list stays ours",
        "the client frees it while it is used: what other objects hold changes, and a task sleeps for ever",
        "core/kafka.py",
        "    ctypes.pythonapi.Py_IncRef(ctypes.py_object(places))\n",
        "",
        (CLIENTS + "test_what_is_given_to_a_deletion_is_still_ours_after_it",),
    ),
    Guard(
        "messages as large as frames",
        "a frame above 1 MB is refused",
        "core/kafka.py",
        '            "message.max.bytes": kafka.max_message_bytes,\n',
        "",
        (CLIENTS + "test_producers_take_frames_and_partition_as_everybody_does",),
    ),
)

MEANING = (
    Guard(
        "a frame that was seen is passed over",
        "a replay moves the tracker twice",
        "streams_proc/analyse.py",
        "if state.begin.run > frame.run or frame.seq < state.next_seq:",
        "if state.begin.run > frame.run:",
        (ANALYSE + "test_replays_are_passed_over",),
    ),
    Guard(
        "the sequence is checked where it is read",
        "a frame lost on its way is noticed by nobody",
        "streams_proc/run_state.py",
        'if self.begin.spec.lane == "batch":',
        "if False:",
        (ANALYSE + "test_a_batch_that_lost_a_frame_stops_the_line",),
    ),
    Guard(
        "a failed chunk leaves the state as it was",
        "the same call made again puts the same frames into the state twice",
        "streams_proc/analyse.py",
        "            undo.back()\n",
        "",
        (ANALYSE + "test_a_chunk_that_fails_for_now_changes_nothing",),
    ),
    Guard(
        "a run that has ended stays ended",
        "a replay after the end opens the run again",
        "streams_proc/memory.py",
        "        self._over[stream] = run\n",
        "",
        (ANALYSE + "test_replays_are_passed_over",),
    ),
    Guard(
        "what the motion gate held back is no missed time",
        "every still scene ends its visits",
        "streams_proc/tracking/follower.py",
        "timestamp=now.looked_s",
        "timestamp=now.clock_s",
        ("tests/unit/analyse/test_tracking.py::test_what_was_held_back_ends_no_track_and_is_no_movement",),
    ),
    Guard(
        "a CloudEvents id for every phase",
        "whoever removes duplicates by id throws an event's end away",
        "core/ids.py",
        'return f"{event}/{phase}/{number}"',
        'return f"{event}"',
        (ANALYSE + "test_events_carry_cloud_events_attributes",),
    ),
)

INTAKE = (
    Guard(
        "readers of a partition that is lost leave",
        "a host that was cut off sends what its successor has numbered anew",
        "ingest/host.py",
        "on_revoke=self._revoked, on_lost=self._lost",
        "on_revoke=self._revoked, on_lost=self._revoked",
        (
            LEAVING
            + "test_readers_of_a_partition_that_is_lost_leave_and_of_one_taken_away_are_suspended[on_lost-leave]",
        ),
    ),
    Guard(
        "a frame is handed over under a lease only",
        "a reader that was frozen numbers a frame that its successor has numbered",
        "ingest/publisher.py",
        "        if not self._leased():\n",
        "        if False:\n",
        (INGEST + "test_no_frame_is_handed_over_without_a_lease",),
    ),
    Guard(
        "decord's count is checked against the packets",
        "it stops at frame 8 of 166, or gives 390 frames of 325",
        "ingest/decode_decord.py",
        "return reader if counted == len(probe.times) else None",
        "return reader",
        ("tests/unit/ingest/test_decord_checked.py::test_a_file_that_decord_counts_otherwise_is_not_its_to_read[5]",),
    ),
    Guard(
        "decord reads only what could stand in memory whole",
        "a file read at a camera's pace grows to gigabytes",
        "ingest/decode_decord.py",
        "* len(probe.times) > MOST_DECODED:",
        "* len(probe.times) > 10**15:",
        (FILES + "test_a_file_read_slowly_is_not_decoded_ahead_without_bound",),
    ),
    Guard(
        "where decord stops, PyAV goes on",
        "frames behind the first damaged packet are lost",
        "ingest/file_source.py",
        "            if passed == self.probe.expected:\n                return\n",
        "            return\n",
        (FILES + "test_when_decord_stops_pyav_goes_on_at_that_frame[4]",),
    ),
    Guard(
        "only acknowledged frames count as published",
        "the ledger counts frames that never reached the broker",
        "ingest/publisher.py",
        "                if error is not None:\n                    self._failure = self._failure or str(error)\n"
        "                    return\n                self._acknowledged",
        "                self._acknowledged",
        (INGEST + "test_a_record_that_is_not_taken_stops_the_run",),
    ),
    Guard(
        "a reader whose producer has ended is tried again",
        "it counts as a crash, and three crashes at one place end the run as a failure",
        "ingest/publisher.py",
        "        except KafkaException as error:  # a producer that has ended says so here, once\n",
        "        except ZeroDivisionError as error:\n",
        (INGEST + "test_a_producer_that_has_ended_is_a_broker_to_be_tried_again",),
    ),
    Guard(
        "a dropped frame takes no number",
        "a gap in the sequence stops whoever reads on",
        "ingest/lanes.py",
        "            self._ledger.dropped(Oversized)\n            return\n",
        "            self._ledger.dropped(Oversized)\n            self._next += 1\n            return\n",
        (INGEST + "test_a_frame_larger_than_a_message_may_be_is_dropped_and_numbers_go_on",),
    ),
    Guard(
        "a restart goes on behind the newest frame, not after so many",
        "frames behind one that was too large come twice, under two numbers",
        "ingest/reading.py",
        "new = self._index > self._resume.last",
        "new = self._let_through >= self._resume.published",
        (READING_TESTS + "test_frames_that_were_too_large_before_a_restart_stay_counted_and_nothing_comes_twice",),
    ),
    Guard(
        "no count is lost with a process",
        "frames that were dropped in the second before a kill are in no ledger",
        "ingest/closing.py",
        "    if decoded > known:",
        "    if decoded < 0:",
        ("tests/unit/ingest/test_control.py::test_what_was_passed_by_since_the_last_checkpoint_is_counted",),
    ),
    Guard(
        "no count is made twice",
        "frames of a live file that are read again after a kill are counted again",
        "ingest/closing.py",
        "    elif again:",
        "    elif False:",
        ("tests/unit/ingest/test_control.py::test_what_is_read_again_is_not_counted_twice",),
    ),
    Guard(
        "a file with a gate is PyAV's alone",
        "after a crash another decoder's grey gives other answers, and what is published moves",
        "ingest/sources.py",
        " or spec.gate is not None\n",
        "\n",
        (READING_TESTS + "test_a_still_scene_of_a_real_file_is_held_back[a.mp4-codec0]",),
    ),
    Guard(
        "a frame that is given up passes on what was held back before it",
        "a stretch without motion counts as missed time, and ends visits",
        "ingest/lanes.py",
        "            self.give_up(frame)\n",
        "",
        (INGEST + "test_a_frame_that_is_too_large_passes_on_what_was_held_back_before_it",),
    ),
    Guard(
        "the frames tell what was held back",
        "after a kill held-back frames are in the ledger as dropped",
        "ingest/closing.py",
        "gated = standing.gated if again else max(counts.gated, standing.gated)",
        "gated = counts.gated",
        (
            "tests/unit/ingest/test_control.py::"
            "test_frames_held_back_since_the_last_checkpoint_are_counted_as_what_they_are",
        ),
    ),
    Guard(
        "no frame runs out of time",
        "after ten minutes without a broker a frame is given up and the next arrives: a hole for ever",
        "ingest/reader.py",
        '                "delivery.timeout.ms": 0,\n',
        "",
        (READER_CLIENT,),
    ),
    Guard(
        "a refused frame ends its producer",
        "the frames behind it arrive without it, and the sequence has a hole for ever",
        "ingest/reader.py",
        '                "enable.gapless.guarantee": True,\n',
        "",
        (READER_CLIENT,),
    ),
    Guard(
        "readers end with their host",
        "a host that was killed leaves readers behind, and its successor begins the same streams beside them",
        "ingest/reader_process.py",
        "    die_with_parent()  #",
        "    #",
        ("tests/unit/ingest/test_control.py::test_readers_end_with_their_host_however_that_ended",),
    ),
    Guard(
        "live gives up its oldest frame",
        "a camera that nobody reads fills the memory",
        "ingest/lanes.py",
        "            while self._bytes > self._bound and len(self._queue) > 1:",
        "            while False:",
        (INGEST + "test_live_gives_up_the_oldest_and_numbers_what_is_sent_without_a_gap",),
    ),
    Guard(
        "no TensorFlow in its clients",
        "its import costs every process seconds and 678 MB",
        "inference/protos.py",
        "    sys.modules[_NAME] = bare\n",
        "",
        ("tests/unit/inference/test_protos.py::test_only_the_messages_of_tensorflow_are_loaded[client]",),
    ),
)

ON_A_BROKER = (
    Guard(
        "Faust acknowledges nothing, on a broker",
        "what nobody has answered is committed, and lost with the process",
        "streams_proc/host.py",
        """        source = self.app.topic(topic, acks=False, **raw)

        async def agent(stream: Any) -> None:
            try:
                async for event in stream.noack().events():
""",
        """        source = self.app.topic(topic, **raw)

        async def agent(stream: Any) -> None:
            try:
                async for event in stream.events():
""",
        (NOT_TRIED + "test_a_worker_that_never_answers_holds_up_no_rebalance",),
        broker=True,
    ),
    Guard(
        "nothing arrives behind a refused record, on a broker",
        "librdkafka counts on from behind the hole, and the later records arrive",
        "streams_proc/publish.py",
        '    "enable.gapless.guarantee": True,\n}',
        "}",
        (NOT_TRIED + "test_nothing_arrives_behind_a_record_that_the_broker_refuses",),
        broker=True,
        also=(("            self._producer.purge(in_queue=True, in_flight=True, blocking=False)\n", ""),),
    ),
    Guard(
        "a gap ends the process, on a broker",
        "records deleted under a stalled worker are passed over, and a state goes on without them",
        "streams_proc/line.py",
        "        if record.offset > self.next:\n            raise GapError(",
        "        if record.offset < 0:\n            raise GapError(",
        (COUNTING + "test_records_deleted_under_a_stalled_worker_are_a_gap_that_ends_it",),
        broker=True,
    ),
    Guard(
        "a host keeps its place in the group",
        "the streams of a host that was killed stand still until its session has ended, though it is there again",
        "ingest/host.py",
        """                **({} if instance is None else {"group.instance.id": """
        """f"ingest-{socket.gethostname()}-{instance}"}),\n""",
        "",
        (
            "tests/integration/ingest/test_ingest_restart.py::"
            "test_a_killed_host_takes_its_readers_along_and_the_next_goes_on",
        ),
        broker=True,
    ),
    Guard(
        "a commit that a dead worker owed is made, on a broker",
        "a partition that is read to its end looks unread for ever",
        "streams_proc/stateful.py",
        "        progress.cut = committed or 0\n        return progress\n",
        "        return progress\n",
        (NOT_TRIED + "test_a_commit_that_went_back_repeats_and_changes_nothing",),
        broker=True,
    ),
    Guard(
        "a snapshot of another envelope is an error, on a broker",
        "a worker takes a newer library's snapshot for an empty state",
        "streams_proc/snapshots.py",
        "        if envelope.version != VERSION:\n",
        "        if envelope.version < 0:\n",
        (NOT_TRIED + "test_a_snapshot_of_another_version_stops_the_line_until_a_replay_is_asked_for",),
        broker=True,
    ),
    Guard(
        "a look at records' sizes waits for nothing",
        "readers of a file stand still for seconds after every few frames",
        "ingest/record_sizes.py",
        '    "fetch.queue.backoff.ms": 10,\n',
        "",
        ("tests/integration/ingest/test_sizes_seen.py::test_each_of_several_records_of_one_partition_is_seen_in_turn",),
        broker=True,
    ),
)

GUARDS: tuple[Guard, ...] = (
    *FAUST,
    *STATE_OF_A_PARTITION,
    *READING,
    *CUTS_WITHOUT_STATE,
    *SENDING,
    *MEANING,
    *INTAKE,
    *ON_A_BROKER,
)
