CREATE TABLE "reminder_events" (
	"user_id" uuid NOT NULL,
	"id" uuid NOT NULL,
	"task_id" uuid NOT NULL,
	"remind_at" timestamp (3) with time zone NOT NULL,
	"delivered_at" timestamp (3) with time zone NOT NULL,
	"message_id" uuid,
	"change" bigint NOT NULL,
	CONSTRAINT "reminder_events_user_id_id_pk" PRIMARY KEY("user_id","id")
);
--> statement-breakpoint
ALTER TABLE "tasks" ADD COLUMN IF NOT EXISTS "reminders" jsonb;--> statement-breakpoint
ALTER TABLE "tasks" ADD COLUMN IF NOT EXISTS "remind_at" timestamp (3) with time zone;--> statement-breakpoint
ALTER TABLE "users" ADD COLUMN IF NOT EXISTS "reminders_by_mail" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "reminder_events" ADD CONSTRAINT "reminder_events_user_id_users_id_fk" FOREIGN KEY ("user_id") REFERENCES "public"."users"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "reminder_events_by_change" ON "reminder_events" USING btree ("user_id","change","id");--> statement-breakpoint
CREATE INDEX IF NOT EXISTS "tasks_by_remind_at" ON "tasks" USING btree ("remind_at") WHERE "tasks"."remind_at" is not null and "tasks"."deleted_at" is null;--> statement-breakpoint
CREATE INDEX IF NOT EXISTS "tasks_by_user_and_remind_at" ON "tasks" USING btree ("user_id","remind_at") WHERE "tasks"."remind_at" is not null and "tasks"."deleted_at" is null;