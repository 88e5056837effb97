CREATE INDEX IF NOT EXISTS "idempotency_keys_by_expires_at" ON "idempotency_keys" USING btree ("expires_at");--> statement-breakpoint
CREATE INDEX IF NOT EXISTS "task_tombstones_by_erased_at" ON "task_tombstones" USING btree ("erased_at");--> statement-breakpoint
CREATE INDEX IF NOT EXISTS "tasks_by_deleted_at" ON "tasks" USING btree ("deleted_at") WHERE "tasks"."deleted_at" is not null;--> statement-breakpoint
CREATE INDEX IF NOT EXISTS "sessions_by_end" ON "sessions" USING btree (greatest("expires_at", "refresh_expires_at"));--> statement-breakpoint
CREATE INDEX IF NOT EXISTS "reminder_events_by_delivered_at" ON "reminder_events" USING btree ("delivered_at");