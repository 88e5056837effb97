CREATE TABLE "list_tombstones" (
	"user_id" uuid NOT NULL,
	"id" uuid NOT NULL,
	"deleted_at" timestamp (3) with time zone NOT NULL,
	"change" bigint NOT NULL,
	CONSTRAINT "list_tombstones_user_id_id_pk" PRIMARY KEY("user_id","id")
);
--> statement-breakpoint
CREATE TABLE "lists" (
	"user_id" uuid NOT NULL,
	"id" uuid NOT NULL,
	"name" text NOT NULL,
	"name_key" text NOT NULL,
	"slot" integer NOT NULL,
	"position" text NOT NULL,
	"version" integer DEFAULT 1 NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	"updated_at" timestamp (3) with time zone NOT NULL,
	"change" bigint NOT NULL,
	CONSTRAINT "lists_user_id_id_pk" PRIMARY KEY("user_id","id"),
	CONSTRAINT "lists_name" UNIQUE("user_id","name_key"),
	CONSTRAINT "lists_slot" UNIQUE("user_id","slot"),
	CONSTRAINT "lists_name_length" CHECK (char_length("lists"."name") between 1 and 100)
);
--> statement-breakpoint
ALTER TABLE "tasks" ADD COLUMN IF NOT EXISTS "list_id" uuid;--> statement-breakpoint
ALTER TABLE "tasks" ADD COLUMN IF NOT EXISTS "position" text;--> statement-breakpoint
ALTER TABLE "list_tombstones" ADD CONSTRAINT "list_tombstones_user_id_users_id_fk" FOREIGN KEY ("user_id") REFERENCES "public"."users"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "lists" ADD CONSTRAINT "lists_user_id_users_id_fk" FOREIGN KEY ("user_id") REFERENCES "public"."users"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "list_tombstones_by_change" ON "list_tombstones" USING btree ("user_id","change","id");--> statement-breakpoint
CREATE INDEX "lists_by_change" ON "lists" USING btree ("user_id","change","id");--> statement-breakpoint
ALTER TABLE "tasks" ADD CONSTRAINT "tasks_list" FOREIGN KEY ("user_id","list_id") REFERENCES "public"."lists"("user_id","id") ON DELETE no action ON UPDATE no action NOT VALID;--> statement-breakpoint
CREATE INDEX IF NOT EXISTS "tasks_by_list" ON "tasks" USING btree ("user_id",coalesce("list_id", '00000000-0000-0000-0000-000000000000'::uuid),coalesce("position", ('5000000000' || lpad((('x' || substr(replace("id"::text, '-', ''), 1, 12))::bit(48)::bigint)::text, 15, '0') || lpad((('x' || substr(replace("id"::text, '-', ''), 14, 3))::bit(12)::bigint)::text, 4, '0') || lpad((('x' || substr(replace("id"::text, '-', ''), 18, 15))::bit(60)::bigint)::text, 19, '0'))) collate "C","id") WHERE "tasks"."deleted_at" is null;--> statement-breakpoint
CREATE INDEX IF NOT EXISTS "tasks_by_position" ON "tasks" USING btree ("user_id",coalesce("position", ('5000000000' || lpad((('x' || substr(replace("id"::text, '-', ''), 1, 12))::bit(48)::bigint)::text, 15, '0') || lpad((('x' || substr(replace("id"::text, '-', ''), 14, 3))::bit(12)::bigint)::text, 4, '0') || lpad((('x' || substr(replace("id"::text, '-', ''), 18, 15))::bit(60)::bigint)::text, 19, '0'))) collate "C","id") WHERE "tasks"."deleted_at" is null;