ALTER TABLE "users" ADD COLUMN IF NOT EXISTS "time_zone" text DEFAULT 'UTC' NOT NULL;--> statement-breakpoint
ALTER TABLE "tasks" ADD COLUMN IF NOT EXISTS "due_on" date;--> statement-breakpoint
ALTER TABLE "tasks" ADD CONSTRAINT "tasks_due" CHECK ("due_at" is null or "due_on" is null) NOT VALID;--> statement-breakpoint
CREATE INDEX IF NOT EXISTS "tasks_by_due" ON "tasks" USING btree ("user_id",coalesce(coalesce("due_at", "due_on"::timestamp at time zone 'UTC'), 'infinity'::timestamptz),"id") WHERE "tasks"."deleted_at" is null;--> statement-breakpoint
CREATE INDEX IF NOT EXISTS "tasks_by_due_desc" ON "tasks" USING btree ("user_id",coalesce(coalesce("due_at", "due_on"::timestamp at time zone 'UTC'), '-infinity'::timestamptz),"id") WHERE "tasks"."deleted_at" is null;--> statement-breakpoint
DROP INDEX "tasks_by_due_at";--> statement-breakpoint
DROP INDEX "tasks_by_due_at_desc";
